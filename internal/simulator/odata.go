package simulator

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parseFilter reads an OData filter: eq, ne, gt, ge, lt, le and in on the fields of the sample,
// startswith, and, or, not and parentheses. Names of fields and operators go by any case.
func parseFilter(text string, sample record) (func(record) bool, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &filterParser{tokens: tokens, sample: sample}
	f, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek() != "" {
		return nil, p.unexpected()
	}
	return f, nil
}

// lexeme matches a string, a mark or a word, which may be a number or a date.
var lexeme = regexp.MustCompile(`^(?:'(?:[^']|'')*'|[(),]|[A-Za-z0-9_.:+\-/]+)`)

func lex(text string) ([]string, error) {
	var tokens []string
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		t := lexeme.FindString(rest)
		if t == "" {
			return nil, fmt.Errorf("syntax error at position %d in '%s'", len(text)-len(rest), text)
		}
		tokens, rest = append(tokens, t), rest[len(t):]
	}
	return tokens, nil
}

type filterParser struct {
	tokens []string
	next   int
	depth  int
	sample record
}

// maxDepth bounds how deep parentheses and negations nest.
const maxDepth = 100

func (p *filterParser) peek() string {
	if p.next == len(p.tokens) {
		return ""
	}
	return p.tokens[p.next]
}

func (p *filterParser) accept(word string) bool {
	if !strings.EqualFold(p.peek(), word) || p.peek() == "" {
		return false
	}
	p.next++
	return true
}

func (p *filterParser) expect(word string) error {
	if !p.accept(word) {
		return p.unexpected()
	}
	return nil
}

func (p *filterParser) unexpected() error {
	if p.peek() == "" {
		return fmt.Errorf("syntax error: the expression ends too early")
	}
	return fmt.Errorf("syntax error at '%s', token %d", p.peek(), p.next+1)
}

func (p *filterParser) or() (func(record) bool, error) {
	left, err := p.and()
	for err == nil && p.accept("or") {
		var right func(record) bool
		a := left
		right, err = p.and()
		left = func(r record) bool { return a(r) || right(r) }
	}
	return left, err
}

func (p *filterParser) and() (func(record) bool, error) {
	left, err := p.term()
	for err == nil && p.accept("and") {
		var right func(record) bool
		a := left
		right, err = p.term()
		left = func(r record) bool { return a(r) && right(r) }
	}
	return left, err
}

func (p *filterParser) term() (func(record) bool, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("the node count limit of '%d' has been exceeded", maxDepth)
	}
	defer func() { p.depth-- }()
	switch {
	case p.accept("("):
		f, err := p.or()
		if err != nil {
			return nil, err
		}
		return f, p.expect(")")
	case p.accept("not"):
		f, err := p.term()
		return func(r record) bool { return !f(r) }, err
	case p.accept("startswith"):
		return p.startsWith()
	default:
		return p.comparison()
	}
}

func (p *filterParser) startsWith() (func(record) bool, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	name, kind, err := p.field()
	if err != nil {
		return nil, err
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	value, err := p.literal(kind)
	if err != nil {
		return nil, err
	}
	prefix, ok := value.(string)
	if !ok {
		return nil, fmt.Errorf("no function signature for the function with name 'startswith' matches '%s'", name)
	}
	return func(r record) bool {
		v, _ := r.field(name)
		s, ok := v.(string)
		return ok && strings.HasPrefix(s, prefix)
	}, p.expect(")")
}

func (p *filterParser) comparison() (func(record) bool, error) {
	name, kind, err := p.field()
	if err != nil {
		return nil, err
	}
	if p.accept("in") {
		return p.in(name, kind)
	}
	holds, ok := map[string]func(c int, sameKind bool) bool{
		"eq": func(c int, ok bool) bool { return ok && c == 0 },
		"ne": func(c int, ok bool) bool { return !ok || c != 0 },
		"gt": func(c int, ok bool) bool { return ok && c > 0 },
		"ge": func(c int, ok bool) bool { return ok && c >= 0 },
		"lt": func(c int, ok bool) bool { return ok && c < 0 },
		"le": func(c int, ok bool) bool { return ok && c <= 0 },
	}[strings.ToLower(p.peek())]
	if !ok {
		return nil, p.unexpected()
	}
	p.next++
	want, err := p.literal(kind)
	if err != nil {
		return nil, err
	}
	return func(r record) bool {
		v, _ := r.field(name)
		if equal(v, want) {
			return holds(0, true)
		}
		return holds(compareValues(v, want))
	}, nil
}

func (p *filterParser) in(name string, kind any) (func(record) bool, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var set []any
	for {
		v, err := p.literal(kind)
		if err != nil {
			return nil, err
		}
		set = append(set, v)
		if !p.accept(",") {
			break
		}
	}
	return func(r record) bool {
		v, _ := r.field(name)
		return slices.ContainsFunc(set, func(want any) bool { return equal(v, want) })
	}, p.expect(")")
}

// equal tells whether two values are the same, two nulls included.
func equal(x, y any) bool {
	c, ok := compareValues(x, y)
	return ok && c == 0 || x == nil && y == nil
}

// field reads the name of a field and returns it in lower case, with a value of its kind.
func (p *filterParser) field() (name string, kind any, err error) {
	name = strings.ToLower(p.peek())
	kind, ok := p.sample.field(name)
	if !ok {
		if p.peek() == "" {
			return "", nil, p.unexpected()
		}
		return "", nil, fmt.Errorf("could not find a property named '%s'", p.peek())
	}
	p.next++
	return name, kind, nil
}

// literal reads a value of the same kind as the sample's, or null. Strings stand in quotes, a quote
// inside is doubled; dates and numbers stand without.
func (p *filterParser) literal(kind any) (any, error) {
	t := p.peek()
	if t == "" {
		return nil, p.unexpected()
	}
	p.next++
	if strings.EqualFold(t, "null") {
		return nil, nil
	}
	switch kind.(type) {
	case time.Time:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02Z", "2006-01-02"} {
			if v, err := time.Parse(layout, strings.ToUpper(t)); err == nil {
				return v, nil
			}
		}
	case float64:
		if v, err := strconv.ParseFloat(t, 64); err == nil {
			return v, nil
		}
	default:
		if strings.HasPrefix(t, "'") {
			return strings.ReplaceAll(t[1:len(t)-1], "''", "'"), nil
		}
	}
	return nil, fmt.Errorf("a value of an incompatible type was found: %s", t)
}
