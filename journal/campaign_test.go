package journal_test

import (
	"encoding/json"
	"errors"
	"testing"

	"offboard/journal"
)

func TestCampaigns(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	j := mustOpen(t, path, journal.Options{Operator: "anna@host"})
	if _, err := j.Campaign("spring"); !errors.Is(err, journal.ErrNoCampaign) {
		t.Errorf("campaign of an empty journal: %v", err)
	}
	for _, name := range []string{"", "a\nb", "\xff", string(make([]byte, 101))} {
		if _, err := j.StartCampaign(journal.Info{Name: name}); !errors.Is(err, journal.ErrCampaignName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	c, err := j.StartCampaign(journal.Info{Name: "spring", Rules: json.RawMessage(`{"max":5}`), Enlisted: true})
	must(t, err)
	if _, err := j.StartCampaign(journal.Info{Name: "spring"}); !errors.Is(err, journal.ErrCampaignExists) {
		t.Errorf("second start: %v", err)
	}
	must(t, c.Update(func(i *journal.Info) error { i.Comment = "retired"; i.Enlisted = true; return nil }))
	if err := c.Update(func(i *journal.Info) error { i.Comment = "sold"; return nil }); !errors.Is(err, journal.ErrCommentFixed) {
		t.Errorf("change of the comment: %v", err)
	}
	if err := c.Update(func(i *journal.Info) error { i.Rules = []byte("{"); return nil }); !errors.Is(err, journal.ErrRules) {
		t.Errorf("rules that are no JSON: %v", err)
	}
	refused := errors.New("rules may only be tightened")
	if err := c.Update(func(*journal.Info) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("update: %v", err)
	}
	must(t, j.Close())
	again := mustOpen(t, path, journal.Options{})
	infos, err := again.Campaigns()
	must(t, err)
	if len(infos) != 1 || infos[0].Comment != "retired" || infos[0].Enlisted || infos[0].Operator != "anna@host" || string(infos[0].Rules) != `{"max":5}` {
		t.Errorf("campaigns %+v", infos)
	}
	same, err := again.Campaign("spring")
	must(t, err)
	if same.Info().Created.IsZero() || same.Info().Name != "spring" {
		t.Errorf("info %+v", same.Info())
	}
}

// TestBadOriginStopsNothing: a mistake of the caller must not poison the journal.
func TestBadOriginStopsNothing(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(1))
	begin(t, c, id(0))
	if err := c.Accept(id(0), pending("a"), "somebody's"); err == nil || errors.Is(err, journal.ErrStopped) {
		t.Errorf("accept of an unknown origin: %v", err)
	}
	must(t, c.Accept(id(0), pending("a"), journal.Ours))
}

func TestUnknownMachines(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, journalPath(t), journal.Options{})
	c := started(t, j, "spring", machines(1))
	if _, err := c.Begin("not an id", 1); !errors.Is(err, journal.ErrMachineID) {
		t.Errorf("begin without an id: %v", err)
	}
	if _, err := c.Begin(id(5), 1); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("begin an unlisted machine: %v", err)
	}
	if _, err := c.Entry(id(5)); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("entry of an unlisted machine: %v", err)
	}
	if _, err := c.Entry("../../etc"); !errors.Is(err, journal.ErrMachineID) {
		t.Errorf("entry without an id: %v", err)
	}
	if err := c.Prior(map[string][]string{"x": nil}); !errors.Is(err, journal.ErrMachineID) {
		t.Errorf("prior without an id: %v", err)
	}
}
