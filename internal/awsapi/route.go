package awsapi

import (
	"fmt"
	"strings"

	"github.com/latchwork/latchwork/internal/inbound"
)

// bound is one operation of one service, ready to be called.
type bound struct {
	service *Service
	op      *Operation
	in, out *plan
	access  *Access
	// unbuilt operations are inherited from the generated Unimplemented.
	unbuilt bool
	// labels are the wire names of the path template's labels, in order.
	labels []string
}

// router finds the operation of a request.
type router struct {
	root node
	// services finds the service that a path without operation was meant for,
	// by its first segment.
	services map[string]*Service
	// actions holds the operations of the query protocols by version and name.
	actions  map[string]map[string]*bound
	versions map[string]*Service
	// targets holds the operations of the protocol JSON by target and name.
	targets map[string]map[string]*bound
}

// node is one segment of the REST path templates.
type node struct {
	literals map[string]*node
	label    *node
	methods  map[string]*bound
}

func newRouter() *router {
	return &router{
		services: map[string]*Service{},
		actions:  map[string]map[string]*bound{},
		versions: map[string]*Service{},
		targets:  map[string]map[string]*bound{},
	}
}

func (r *router) add(b *bound) error {
	switch b.service.Protocol {
	case JSON:
		operations := r.targets[b.service.Target]
		if operations == nil {
			operations = map[string]*bound{}
			r.targets[b.service.Target] = operations
		}
		if other := operations[b.op.Name]; other != nil {
			return fmt.Errorf("services %s and %s share the target %s", other.service.Name, b.service.Name, b.service.Target)
		}
		operations[b.op.Name] = b
		return nil
	case Query, EC2Query:
		version := b.service.Version
		if owner := r.versions[version]; owner != nil && owner != b.service {
			return fmt.Errorf("services %s and %s share the version %s", owner.Name, b.service.Name, version)
		}
		r.versions[version] = b.service
		if r.actions[version] == nil {
			r.actions[version] = map[string]*bound{}
		}
		r.actions[version][b.op.Name] = b
		return nil
	}
	segments := strings.Split(strings.TrimPrefix(b.op.URI, "/"), "/")
	r.services[segments[0]] = b.service
	n := &r.root
	for _, segment := range segments {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			b.labels = append(b.labels, strings.TrimSuffix(name, "}"))
			if n.label == nil {
				n.label = &node{}
			}
			n = n.label
			continue
		}
		if n.literals == nil {
			n.literals = map[string]*node{}
		}
		if n.literals[segment] == nil {
			n.literals[segment] = &node{}
		}
		n = n.literals[segment]
	}
	if n.methods == nil {
		n.methods = map[string]*bound{}
	}
	if other := n.methods[b.op.Method]; other != nil {
		return fmt.Errorf("%s %s and %s %s have the same route", other.service.Name, other.op.Name, b.service.Name, b.op.Name)
	}
	n.methods[b.op.Method] = b
	return nil
}

// rest finds the operation for a method and a raw path that inbound.CheckPath accepted,
// and the decoded values of its labels.
func (r *router) rest(method, path string) (*bound, []string) {
	segments := strings.Split(path[1:], "/")
	for i := range segments {
		segments[i] = inbound.Unescape(segments[i])
	}
	if b, labels := r.root.find(method, segments, nil); b != nil {
		return b, labels
	}
	// An ARN whose slashes were not escaped still has one meaning where nothing
	// can follow it.
	if len(segments) > 2 && strings.HasPrefix(segments[1], "arn:") {
		return r.root.find(method, []string{segments[0], strings.Join(segments[1:], "/")}, nil)
	}
	return nil, nil
}

// find prefers literals to labels and goes back where a literal leads nowhere.
func (n *node) find(method string, segments, labels []string) (*bound, []string) {
	if len(segments) == 0 {
		if b := n.methods[method]; b != nil {
			return b, labels
		}
		return nil, nil
	}
	if next := n.literals[segments[0]]; next != nil {
		if b, found := next.find(method, segments[1:], labels); b != nil {
			return b, found
		}
	}
	if n.label != nil && segments[0] != "" {
		return n.label.find(method, segments[1:], append(labels[:len(labels):len(labels)], segments[0]))
	}
	return nil, nil
}

// Services that stand in for the one that a request without operation was meant
// for, so that the answer still has a shape that SDKs read.
var (
	unknownREST = &Service{Name: "unknown", Protocol: RESTJSON}
	unknownRPC  = &Service{Name: "unknown", Protocol: JSON}
	// The namespace is the one that AWS's own front end uses.
	unknownQuery = &Service{Name: "unknown", Protocol: Query, Namespace: "http://webservices.amazon.com/AWSFault/2005-15-09"}
)

// serviceOfTarget is the service that has a name in requests of the protocol JSON.
func (r *router) serviceOfTarget(target string) *Service {
	for _, b := range r.targets[target] {
		return b.service
	}
	return unknownRPC
}

// serviceOf guesses which service a path without operation was meant for.
func (r *router) serviceOf(path string) *Service {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if s := r.services[first]; s != nil {
		return s
	}
	return unknownREST
}
