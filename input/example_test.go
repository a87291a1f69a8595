package input_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"offboard/input"
)

func ExampleRead() {
	list := `Device Name;Machine ID;Owner
pc-001;B66EC7F8162F3B2F20A898DB8C63BEF560E7E703;Ann
pc-002;56f18844cec46b794bf3beae9e1cc08ca6babb22;Bob
`
	l, err := input.Read(context.Background(), "-", input.Options{Stdin: strings.NewReader(list)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for m := range l.Machines.All() {
		fmt.Println(m.ID, m.Name, l.Value(m, "owner"))
	}
	// Output:
	// b66ec7f8162f3b2f20a898db8c63bef560e7e703 pc-001 Ann
	// 56f18844cec46b794bf3beae9e1cc08ca6babb22 pc-002 Bob
}

func ExampleBadRowsError() {
	list := "id,name\n1f0e3dad,pc-001\n,pc-002\n"
	_, err := input.Read(context.Background(), "-", input.Options{Stdin: strings.NewReader(list)})
	var bad *input.BadRowsError
	if errors.As(err, &bad) {
		fmt.Println(bad)
	}
	// Output:
	// -: bad rows: 2
	// -: line 2: column "id": "1f0e3dad" is no machine id: 40 hexadecimal digits are needed
	// -: line 3: column "id": the machine id is missing; it can be looked up with --resolve
}

func ExampleError() {
	list := "name,serial\npc-001,4711\n"
	_, err := input.Read(context.Background(), "-", input.Options{Stdin: strings.NewReader(list)})
	var e *input.Error
	if errors.Is(err, input.ErrNoIDColumn) && errors.As(err, &e) {
		fmt.Println(e)
		fmt.Println("hint:", e.Hint)
	}
	// Output:
	// -: line 1: no column holds machine ids: one must be called id, machineId, Machine ID, DeviceId or Device ID
	// hint: ids can be looked up by name or Entra device id: use --resolve
}

func ExampleParseFormat() {
	f, err := input.ParseFormat("NDJSON")
	fmt.Println(f, err)
	_, err = input.ParseFormat("xlsx")
	fmt.Println(err)
	// Output:
	// ndjson <nil>
	// "xlsx" is no list format
}
