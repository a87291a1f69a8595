package simulator

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is a row that can be filtered and sorted by its fields, whose names come in lower case.
type record interface {
	field(name string) (value any, ok bool)
}

// query is what a list is asked for.
type query struct {
	filter  func(record) bool // nil: every row
	top     int               // -1: not given
	skip    int
	orderBy []order
	count   bool
}

type order struct {
	field string
	desc  bool
}

// page is a list as the service answers it.
type page[R record] struct {
	Context  string `json:"@odata.context"`
	Count    *int   `json:"@odata.count,omitempty"`
	Value    []R    `json:"value"`
	NextLink string `json:"@odata.nextLink,omitempty"`
}

// listActions answers GET /api/machineactions: newest first, as of some time ago.
func (s *Simulator) listActions(c *call, now time.Time) reply {
	q, err := s.parseQuery(c.query, actionRow{})
	if err != nil {
		return failOData(err.Error())
	}
	then := now.Add(-s.cfg.ListLag)
	rows := []actionRow{}
	for _, a := range slices.Backward(s.actions) {
		if a.created.After(then) {
			continue
		}
		if row := a.row(then); q.filter == nil || q.filter(row) {
			rows = append(rows, row)
		}
	}
	p, _ := paginate(rows, q, s.cfg.PageSize)
	p.Context = c.base + "/api/$metadata#MachineActions"
	return answer(http.StatusOK, p)
}

// listMachines answers GET /api/machines. An empty list is a 404, and the link to the next page, which
// comes only without $top, is as broken as the real one was seen to be: from the second hop on the name
// of $filter is lost, so the filter no longer applies, rows repeat and the chain never ends.
func (s *Simulator) listMachines(c *call, now time.Time) reply {
	q, err := s.parseQuery(c.query, machineRow{})
	if err != nil {
		return failOData(err.Error())
	}
	rows := []machineRow{}
	for _, id := range s.order {
		if row := s.machines[id].row(now); q.filter == nil || q.filter(row) {
			rows = append(rows, row)
		}
	}
	filterLost := c.query.Has("")
	if filterLost && len(rows) > 0 {
		q.skip %= len(rows)
	}
	p, more := paginate(rows, q, s.cfg.PageSize)
	if len(p.Value) == 0 {
		return fail(http.StatusNotFound, "NotFound", "No machines were found", s.target())
	}
	if q.top < 0 && (more || filterLost) {
		p.NextLink = nextLink(c, q.skip+len(p.Value))
	}
	p.Context = c.base + "/api/$metadata#Machines"
	return answer(http.StatusOK, p)
}

// nextLink makes the link to the next page with its captured fault.
func nextLink(c *call, skip int) string {
	name, filter := "$filter", c.query.Get("$filter")
	if c.query.Has("$skip") {
		name = ""
	}
	if c.query.Has("") {
		name, filter = "", c.query.Get("")
	}
	link := c.base + c.path + "?"
	if filter != "" || name == "" {
		link += name + "=" + url.QueryEscape(filter) + "&"
	}
	return link + "$skip=" + strconv.Itoa(skip)
}

// paginate sorts and cuts a list; more tells whether rows were left for another page.
func paginate[R record](rows []R, q query, pageSize int) (p page[R], more bool) {
	if len(q.orderBy) > 0 {
		slices.SortStableFunc(rows, func(a, b R) int { return q.compare(a, b) })
	}
	if q.count {
		n := len(rows)
		p.Count = &n
	}
	rows = rows[min(q.skip, len(rows)):]
	size := pageSize
	if q.top >= 0 {
		size = min(size, q.top)
	}
	p.Value = rows[:min(size, len(rows))]
	return p, len(rows) > size
}

func (q query) compare(a, b record) int {
	for _, o := range q.orderBy {
		x, _ := a.field(o.field)
		y, _ := b.field(o.field)
		c, _ := compareValues(x, y)
		if o.desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// compareValues compares two values of the same kind; ok is false for different kinds and nulls.
func compareValues(x, y any) (c int, ok bool) {
	switch x := x.(type) {
	case string:
		y, ok := y.(string)
		return strings.Compare(x, y), ok
	case time.Time:
		y, ok := y.(time.Time)
		return x.Compare(y), ok
	case float64:
		y, ok := y.(float64)
		return cmp.Compare(x, y), ok
	default:
		return 0, false
	}
}

// parseQuery reads the options of a list. An option that the endpoint does not know is refused in the
// words of the real service, which met it because its documentation once spelled $top as $stop.
func (s *Simulator) parseQuery(v url.Values, sample record) (query, error) {
	q := query{top: -1}
	for name := range v {
		var err error
		value := v.Get(name)
		switch name {
		case "$top":
			q.top, err = parseCount(name, value, s.cfg.PageSize)
		case "$skip":
			q.skip, err = parseCount(name, value, 1<<31-1)
		case "$filter":
			q.filter, err = parseFilter(value, sample)
		case "$orderby":
			q.orderBy, err = parseOrder(value, sample)
		case "$count":
			q.count, err = strconv.ParseBool(value)
		default:
			if strings.HasPrefix(name, "$") {
				err = fmt.Errorf("the query parameter '%s' is not supported", name)
			}
		}
		if err != nil {
			return query{}, err
		}
	}
	return q, nil
}

func parseCount(name, value string, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("invalid value '%s' for %s query option found", value, name)
	}
	if n > most {
		return 0, fmt.Errorf("the limit of '%d' for %s query has been exceeded", most, name)
	}
	return n, nil
}

func parseOrder(value string, sample record) ([]order, error) {
	var orders []order
	for term := range strings.SplitSeq(value, ",") {
		words := strings.Fields(strings.ToLower(term))
		if len(words) == 0 || len(words) > 2 || len(words) == 2 && words[1] != "asc" && words[1] != "desc" {
			return nil, fmt.Errorf("syntax error in $orderby '%s'", value)
		}
		if _, ok := sample.field(words[0]); !ok {
			return nil, fmt.Errorf("could not find a property named '%s'", words[0])
		}
		orders = append(orders, order{words[0], len(words) == 2 && words[1] == "desc"})
	}
	return orders, nil
}
