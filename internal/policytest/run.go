package policytest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/latchwork/latchwork/internal/authz"
	"github.com/latchwork/latchwork/internal/identity"
	"github.com/latchwork/latchwork/internal/snapshot"
)

// Words of a wanted answer.
const (
	allow    = "allow"
	deny     = "deny"
	explicit = "explicit"
	implicit = "implicit"
)

// stages are the names of the layers of a decision.
var stages = func() []string {
	var out []string
	for s := authz.StageNone + 1; s <= authz.StageServiceControl; s++ {
		out = append(out, s.String())
	}
	return out
}()

// Test is a case that is ready to be decided.
type Test struct {
	File         string
	Line, Column int
	Case         Case
	Snap         *snapshot.Snapshot
	Query        *authz.Query
	// Invocation is the request of a case that is one, else nil.
	Invocation *authz.Invocation
}

// Result is what became of a case.
type Result struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Name   string `json:"name"`
	Source string `json:"source,omitzero"`
	Passed bool   `json:"passed"`
	Want   string `json:"want"`
	Got    string `json:"got"`
	// Explanation is that of a case that did not pass, or of every one.
	Explanation *authz.Explanation `json:"explanation,omitzero"`
}

// Load reads the cases of files, and of the .yaml, .yml and .json files of directories
// that hold cases. The error has everything that is wrong with them, each with its
// place.
func Load(paths []string) ([]*Test, error) {
	var tests []*Test
	var errs []error
	c := compiled{}
	for _, path := range paths {
		files, err := filesOf(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			more, err := read(file, text, c)
			// A file of a directory without the field cases is for others to include.
			if errors.Is(err, errNoCases) && file != path {
				err = nil
			}
			tests = append(tests, more...)
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("%s: %w", strings.Join(paths, ", "), errNoCases)
	}
	return tests, nil
}

// filesOf lists the files of cases that a path stands for.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); file != path && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(file) {
		case ".yaml", ".yml":
			files = append(files, file)
		case ".json":
			// Policies that cases name are JSON files too.
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if !isPolicy(text) {
				files = append(files, file)
			}
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: there are no .yaml, .yml or .json files of cases in it", path)
	}
	return files, err
}

// isPolicy tells a policy document from a file of cases.
func isPolicy(text []byte) bool {
	var top struct {
		Statement yaml.Node `yaml:"Statement"`
	}
	return yaml.Unmarshal(text, &top) == nil && top.Statement.Kind != 0
}

// errNoCases is what a file is wrong with that has definitions only.
var errNoCases = errors.New("there are no cases: they are a list with the name cases")

// read makes the tests of one file.
func read(name string, text []byte, c compiled) ([]*Test, error) {
	if isPolicy(text) {
		return nil, fmt.Errorf("%s: this is a policy and no file of cases: latchwork policy check reads it, and a case names it by {file: PATH}", name)
	}
	d := &decoder{file: name, included: map[*yaml.Node]string{}}
	var f File
	root := d.parse(name, text)
	if root != nil {
		d.decode(root, reflect.ValueOf(&f).Elem())
		f.include(d, root, name, map[string]bool{filepath.Clean(name): true})
	}
	if len(d.errs) > 0 {
		return nil, errors.Join(d.errs...)
	}
	w := newWorld(&f, d, c)
	w.check()
	switch {
	case len(d.errs) > 0 || len(f.Cases) > 0:
	case has(root, "cases"):
		d.wrong(root, "the list of cases is empty")
	default:
		return nil, fmt.Errorf("%s: %w", name, errNoCases)
	}
	var tests []*Test
	seen := map[string]bool{}
	for _, raw := range f.Cases {
		t := w.test(raw.node)
		if t.Case.Name == "" {
			d.wrong(raw.node, "the case has no name")
		} else if seen[t.Case.Name] {
			d.wrong(raw.node, "there is another case %q", t.Case.Name)
		}
		seen[t.Case.Name] = true
		tests = append(tests, t)
	}
	// A document that many cases have is wrong once.
	told := map[string]bool{}
	d.errs = slices.DeleteFunc(d.errs, func(err error) bool {
		again := told[err.Error()]
		told[err.Error()] = true
		return again
	})
	return tests, errors.Join(d.errs...)
}

// include reads the files that one includes, and those that they do.
func (f *File) include(d *decoder, at *yaml.Node, from string, seen map[string]bool) {
	for _, name := range f.Include {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(from), name)
		}
		if name = filepath.Clean(name); seen[name] {
			continue
		}
		seen[name] = true
		text, err := os.ReadFile(name)
		if err != nil {
			d.wrong(at, "include: %v", err)
			continue
		}
		root := d.parse(name, text)
		if root == nil {
			continue
		}
		var more File
		d.decode(root, reflect.ValueOf(&more).Elem())
		if has(root, "cases") || has(root, "defaults") {
			d.wrong(root, "a file that is included has no cases and no defaults")
		}
		more.include(d, root, name, seen)
		merge(d, root, "accounts", &f.Accounts, more.Accounts)
		merge(d, root, "policies", &f.Policies, more.Policies)
		merge(d, root, "groups", &f.Groups, more.Groups)
		f.Principals.merge(d, root, "principals", &more.Principals)
		f.Networks.merge(d, root, "networks", &more.Networks)
		f.Services.merge(d, root, "services", &more.Services)
		f.Resources.merge(d, root, "resources", &more.Resources)
	}
}

// merge adds what an included file defines. A name has one meaning.
func merge[T any](d *decoder, at *yaml.Node, what string, to *map[string]T, from map[string]T) {
	for name, v := range from {
		if _, taken := (*to)[name]; taken {
			d.wrong(at, "%s: %q is defined in a file that includes this one too", what, name)
		}
		if *to == nil {
			*to = map[string]T{}
		}
		(*to)[name] = v
	}
}

func (s *Definitions[T]) merge(d *decoder, at *yaml.Node, what string, from *Definitions[T]) {
	if s.made == nil {
		s.made = map[string]*T{}
	}
	merge(d, at, what, &s.nodes, from.nodes)
}

// check reads everything that has a name, so that what no case uses is right too.
func (w *world) check() {
	now := w.instant(nil, "time", defaultTime)
	w.Principals.all(w.d)
	w.Networks.all(w.d)
	w.Services.all(w.d)
	w.Resources.all(w.d)
	for _, name := range w.Principals.names() {
		w.caller(w.Principals.made[name], w.Principals.nodes[name], now)
	}
	for _, name := range w.Networks.names() {
		w.network(w.Networks.made[name], w.Networks.nodes[name])
	}
	for _, name := range w.Services.names() {
		w.service(w.Services.made[name], w.Services.nodes[name])
	}
}

// test makes a test of a case.
func (w *world) test(n *yaml.Node) *Test {
	c := w.Defaults
	switch {
	// What the default case is, the other kind of case is not.
	case has(n, "action"):
		c.Service, c.Network, c.Request = nil, nil, nil
	case has(n, "service"):
		c.Action, c.Resource, c.Context = "", nil, nil
	}
	w.d.decode(n, reflect.ValueOf(&c).Elem())
	or(&c.Source, w.Source)
	or(&c.Time, defaultTime)
	t := &Test{File: w.d.file, Line: n.Line, Column: n.Column, Case: c, Snap: w.base}
	now := w.instant(n, "time", c.Time)
	who := &identity.Principal{}
	switch {
	case c.Principal == nil:
		w.d.wrong(n, "the case has no principal: the caller who did not sign has the name %s", anonymous)
	case c.Principal.name() != anonymous:
		if p := c.Principal.resolve(w.d, &w.Principals); p != nil {
			who, t.Snap = w.caller(p, c.Principal.node, now)
		}
	}
	caller := authz.CallerKeys{Snap: t.Snap, Principal: who, Now: now}
	if c.Want == nil {
		w.d.wrong(n, "the case does not say what it wants: allow, deny, or what denies")
	}
	switch {
	case c.Service != nil && c.Action == "":
		if len(c.Context) > 0 || c.Resource != nil {
			w.d.wrong(n, "a case with a service is a request: its resource and its condition keys follow from the request, the caller and the service")
		}
		service := w.service(cmp.Or(c.Service.resolve(w.d, &w.Services), &Service{}), c.Service.node)
		network := &Network{}
		at := n
		if c.Network != nil {
			network, at = cmp.Or(c.Network.resolve(w.d, &w.Networks), network), c.Network.node
		}
		t.Invocation = w.invocation(c.Request, n, service, w.network(network, at), caller)
		t.Query = t.Invocation.Query()
	case c.Action != "" && c.Service == nil:
		if c.Request != nil || c.Network != nil {
			w.d.wrong(n, "a case with an action is no request: say service instead, or context for its condition keys")
		}
		resource, at := &Resource{}, n
		if r := c.Resource; r != nil {
			at = r.node
			if name := r.name(); name == "*" || isARN(name) {
				resource = &Resource{ARN: name}
			} else {
				resource = cmp.Or(r.resolve(w.d, &w.Resources), resource)
			}
		}
		t.Query = w.general(&c, resource, at, caller)
	default:
		w.d.wrong(n, "a case is a request to a service or an action on a resource: exactly one of service and action must be there")
		t.Query = &authz.Query{}
	}
	return t
}

func has(n *yaml.Node, name string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Kind == yaml.MappingNode && n.Content[i].Value == name {
			return true
		}
	}
	return false
}

// Run decides the cases whose names match, all if only is nil. It explains those that are
// not as wanted, or every one.
func Run(tests []*Test, only *regexp.Regexp, every bool) []Result {
	out := []Result{}
	for _, t := range tests {
		if only == nil || only.MatchString(t.Case.Name) {
			out = append(out, t.run(every))
		}
	}
	return out
}

func (t *Test) run(explain bool) Result {
	d := authz.Decide(t.Snap, t.Query)
	r := Result{
		File: t.File, Line: t.Line, Name: t.Case.Name, Source: t.Case.Source,
		Want: t.Case.Want.String(), Got: told(d), Passed: t.Case.Want.is(d, d.DeniedText(t.Query)),
	}
	if explain || !r.Passed {
		x := authz.Explain(t.Snap, t.Query)
		r.Explanation = &x
	}
	return r
}

// is tells whether a decision is the one that is wanted.
func (w *Want) is(d authz.Decision, text string) bool {
	if d.Allowed != (w.Verdict == allow) {
		return false
	}
	same := func(want, got string) bool { return want == "" || want == got }
	sid, number, names := denied(d)
	return same(w.Cause, cause(d)) && same(w.Stage, d.Stage.String()) && strings.Contains(text, w.Text) &&
		(w.Policy == "" || slices.Contains(names, w.Policy)) && (w.Statement == "" || w.Statement == sid || w.Statement == number)
}

func cause(d authz.Decision) string {
	if d.Cause == authz.ExplicitDeny {
		return explicit
	}
	return implicit
}

// denied tells which statement of which policy denies explicitly: its Sid, its number,
// and the names of the policy.
func denied(d authz.Decision) (sid, number string, names []string) {
	if d.Policy == nil {
		return "", "", nil
	}
	if d.Policy.Compiled != nil {
		sid = d.Policy.Compiled.Document().Statements[d.Statement].Sid
	}
	return sid, strconv.Itoa(d.Statement + 1), []string{d.Policy.Name, d.Policy.ARN}
}

// told is a decision in the words of a wanted one.
func told(d authz.Decision) string {
	if d.Allowed {
		return allow
	}
	w := Want{Verdict: deny, Cause: cause(d), Stage: d.Stage.String()}
	if sid, number, names := denied(d); names != nil {
		w.Policy, w.Statement = cmp.Or(names[1], names[0]), cmp.Or(sid, number)
	}
	return w.String()
}

func (w *Want) String() string {
	var b strings.Builder
	b.WriteString(w.Verdict)
	for _, part := range []struct{ name, value string }{
		{"cause", w.Cause}, {"stage", w.Stage}, {"policy", w.Policy}, {"statement", w.Statement}, {"text", w.Text},
	} {
		if part.value != "" {
			fmt.Fprintf(&b, ", %s %s", part.name, part.value)
		}
	}
	return b.String()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
