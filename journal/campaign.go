package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
)

// maxCampaignName is in bytes. Every comment that is sent carries the name, and
// the service bounds comments.
const maxCampaignName = 100

// Campaign is one campaign of a journal. Its methods may be called by many
// goroutines at once.
type Campaign struct {
	j      *Journal
	number uint32
	name   string

	planning sync.Mutex // held by Update and Enlist, which read, think and write
	stored   atomic.Pointer[campaignRecord]
}

// campaignRecord is what the journal holds of a campaign.
type campaignRecord struct {
	Info
	// ColumnSets are the columns of all lists that the campaign ever took. A
	// machine's carried values follow the set of the list they came from.
	ColumnSets [][]string `json:"column_sets"`
}

// Campaigns returns all campaigns in the order in which they were started.
func (j *Journal) Campaigns() ([]Info, error) {
	var infos []Info
	err := j.view("list campaigns", func(tx *bolt.Tx) error {
		return tx.Bucket(campaignBucket).ForEach(func(key, value []byte) error {
			r, err := decodeCampaign(key, value)
			if err == nil {
				infos = append(infos, r.Info)
			}
			return err
		})
	})
	return infos, err
}

// Campaign returns the campaign of this name, or an error that is [ErrNoCampaign].
func (j *Journal) Campaign(name string) (*Campaign, error) {
	if c := j.campaignNamed(name); c != nil {
		return c, nil
	}
	return nil, &Error{Path: j.path, Op: "open campaign", Campaign: name, Err: ErrNoCampaign}
}

func (j *Journal) campaignNamed(name string) *Campaign {
	j.mu.RLock()
	defer j.mu.RUnlock()
	for _, c := range j.campaigns {
		if c.name == name {
			return c
		}
	}
	return nil
}

// nameOf returns the name of a campaign that a record's key holds.
func (j *Journal) nameOf(number uint32) (string, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if c := j.campaigns[number]; c != nil {
		return c.name, nil
	}
	return "", fmt.Errorf("%w: record of the unknown campaign %d", ErrDamaged, number)
}

func (j *Journal) loadCampaigns(bucket *bolt.Bucket) error {
	return bucket.ForEach(func(key, value []byte) error {
		r, err := decodeCampaign(key, value)
		if err != nil {
			return err
		}
		j.addCampaign(binary.BigEndian.Uint32(key), r)
		return nil
	})
}

func (j *Journal) addCampaign(number uint32, r *campaignRecord) *Campaign {
	c := &Campaign{j: j, number: number, name: r.Name}
	c.stored.Store(r)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.campaigns[number] = c
	return c
}

// StartCampaign starts a campaign with the name, comment, rules and TenantRead
// of i; the rest of i is ignored. The campaign sends nothing before it has
// taken a list. The error is [ErrCampaignExists],
// [ErrCampaignName] or [ErrRules].
func (j *Journal) StartCampaign(i Info) (*Campaign, error) {
	var c *Campaign
	err := errors.Join(checkName(i.Name), checkRules(i.Rules))
	if err == nil {
		err = j.do("start campaign", func(b *batch) error {
			if j.campaignNamed(i.Name) != nil {
				return ErrCampaignExists
			}
			number := b.next(b.campaigns)
			r := &campaignRecord{Info: Info{
				Name: i.Name, Comment: i.Comment, Rules: i.Rules, TenantRead: i.TenantRead,
				Created: b.now, Updated: b.now, Operator: j.operator,
			}}
			c = j.addCampaign(uint32(number), r) //nolint:gosec // counts campaigns
			c.put(b, r)
			b.putEvent(&Event{Kind: KindStarted, Campaign: i.Name, Operator: j.operator, Info: &r.Info})
			return nil
		})
	}
	if err != nil {
		return nil, j.explainCampaign("start campaign", i.Name, err)
	}
	return c, nil
}

func checkName(name string) error {
	if name == "" || len(name) > maxCampaignName || !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable) {
		return fmt.Errorf("%w: it takes 1 to %d bytes of printable text", ErrCampaignName, maxCampaignName)
	}
	return nil
}

func checkRules(rules json.RawMessage) error {
	if len(rules) > 0 && !json.Valid(rules) {
		return ErrRules
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// explainCampaign is explain with the campaign's name.
func (j *Journal) explainCampaign(op, name string, err error) error {
	err = j.explain(op, err)
	var known *Error
	if errors.As(err, &known) && known.Campaign == "" {
		known.Campaign = name
	}
	return err
}

// put writes the campaign's record. Committed or not, it is what this process
// goes by from now on: a commit that fails stops the journal anyway.
func (c *Campaign) put(b *batch, r *campaignRecord) {
	r.Updated = b.now
	key := binary.BigEndian.AppendUint32(nil, c.number)
	body, err := json.Marshal(r)
	b.put(b.campaigns, key, seal(key, body), err)
	c.stored.Store(r)
}

func decodeCampaign(key, value []byte) (*campaignRecord, error) {
	body, err := unseal(key, value)
	if err != nil {
		return nil, err
	}
	r := &campaignRecord{}
	if err := json.Unmarshal(body, r); err != nil || len(key) != 4 {
		return nil, fmt.Errorf("%w: campaign under key %x", ErrDamaged, key)
	}
	return r, nil
}

// Info describes the campaign.
func (c *Campaign) Info() Info { return c.stored.Load().clone() }

// Columns returns the carried columns of all lists that the campaign ever took, each
// once: those of the newest list first.
func (c *Campaign) Columns() []string {
	r := c.stored.Load()
	all := slices.Clone(r.Columns)
	for _, set := range r.ColumnSets {
		all = union(all, set)
	}
	return all
}

func (i Info) clone() Info {
	i.Rules, i.LastRun = slices.Clone(i.Rules), slices.Clone(i.LastRun)
	i.Columns = slices.Clone(i.Columns)
	return i
}

// Update changes the campaign's comment, rules, TenantRead and LastRun, and takes
// Enlisted away: nothing more is sent then before a list has been taken. What fn
// does to other fields is ignored. A comment that was set before cannot change
// ([ErrCommentFixed]): machines of one campaign are told the same. An error of
// fn changes nothing and is returned as it is. Fn must not call Update or
// Enlist. A change is recorded as an event.
func (c *Campaign) Update(fn func(*Info) error) error {
	c.planning.Lock()
	defer c.planning.Unlock()
	old := c.stored.Load()
	wanted := old.clone()
	if err := fn(&wanted); err != nil {
		return err
	}
	if old.Comment != "" && wanted.Comment != old.Comment {
		return &Error{Path: c.j.path, Op: "update campaign", Campaign: c.name, Err: ErrCommentFixed,
			Hint: "start another campaign for another comment"}
	}
	if err := checkRules(wanted.Rules); err != nil {
		return c.j.explainCampaign("update campaign", c.name, err)
	}
	if wanted.Comment == old.Comment && bytes.Equal(wanted.Rules, old.Rules) && bytes.Equal(wanted.LastRun, old.LastRun) &&
		wanted.TenantRead.Equal(old.TenantRead) && wanted.Enlisted == old.Enlisted {
		return nil
	}
	return c.change("update campaign", KindUpdated, func(r *campaignRecord) {
		r.Comment, r.Rules, r.TenantRead, r.LastRun = wanted.Comment, wanted.Rules, wanted.TenantRead.UTC(), wanted.LastRun
		r.Enlisted = r.Enlisted && wanted.Enlisted
	})
}

// change edits the campaign's record and writes an event.
func (c *Campaign) change(op string, kind Kind, edit func(*campaignRecord)) error {
	err := c.j.do(op, func(b *batch) error {
		r := c.edited(edit)
		c.put(b, r)
		b.putEvent(&Event{Kind: kind, Campaign: c.name, Operator: c.j.operator, Info: &r.Info})
		return nil
	})
	return c.j.explainCampaign(op, c.name, err)
}

// edited returns a changed copy of the campaign's record.
func (c *Campaign) edited(edit func(*campaignRecord)) *campaignRecord {
	old := c.stored.Load()
	r := &campaignRecord{Info: old.clone(), ColumnSets: slices.Clone(old.ColumnSets)}
	edit(r)
	return r
}
