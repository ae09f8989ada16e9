package random

import (
	"slices"

	"github.com/latchwork/latchwork/internal/policy"
	"github.com/latchwork/latchwork/internal/policy/reference"
)

// Layers are the policies of a question, in layers that change from question to
// question: its documents are made once.
type Layers struct {
	reference.Question
	// aim are the documents that requests are made for.
	aim []*policy.Document
}

// Layers makes policies of all layers, for a request to a service of VPC Lattice or for
// any other.
func (m *Maker) Layers(lattice bool) (*Layers, error) {
	l := &Layers{}
	var err error
	one := func(kind policy.Kind) reference.Policy {
		p, made := m.layer(kind)
		if made != nil {
			err = made
		}
		if p.Document != nil {
			l.aim = append(l.aim, p.Document)
		}
		return p
	}
	maybe := func(percent int, kind policy.Kind) *reference.Policy {
		if !m.chance(percent) {
			return nil
		}
		p := one(kind)
		return &p
	}
	many := func(n int, kind policy.Kind) (out []reference.Policy) {
		for range n {
			out = append(out, one(kind))
		}
		return out
	}
	if lattice {
		l.Lattice = &reference.Lattice{
			Network: &reference.Layer{AuthType: pick(m, "NONE", "AWS_IAM", "AWS_IAM", ""), Policy: maybe(95, policy.AuthPolicy)},
			Service: &reference.Layer{AuthType: pick(m, "NONE", "AWS_IAM", "AWS_IAM", "none"), Policy: maybe(95, policy.AuthPolicy)},
		}
		if m.chance(8) {
			l.Lattice.Network = nil
		}
	} else {
		l.Account = pick(m, "", own, own, other)
		l.ResourcePolicy = maybe(75, pick(m, policy.Resource, policy.Trust))
		l.Required = m.chance(30)
	}
	c := &l.Caller
	c.Gone = m.chance(5)
	c.Identity = many(pick(m, 0, 1, 1, 1, 1, 2, 2, 3), policy.Identity)
	c.Boundary = maybe(30, policy.Boundary)
	c.Session = many(pick(m, 0, 0, 1, 2), policy.Session)
	for range pick(m, 0, 0, 1, 2, 3) {
		c.Control = append(c.Control, many(pick(m, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3), policy.ServiceControl))
	}
	c.Management = m.chance(10)
	return l, err
}

// layer makes one policy: nearly everything, any, or one that cannot be read.
func (m *Maker) layer(kind policy.Kind) (reference.Policy, error) {
	if m.chance(2) {
		return reference.Policy{}, nil
	}
	d := m.Document(kind)
	if m.chance(80) {
		d = m.wide(kind)
	}
	parsed, err := Parsed(d)
	return reference.Policy{Document: parsed}, err
}

// wide makes a policy that allows everything, to everybody or to some, and may deny a
// little.
func (m *Maker) wide(kind policy.Kind) *policy.Document {
	d := &policy.Document{Kind: kind, Version: "2012-10-17"}
	all := policy.Statement{Allow: true, Actions: texts([]string{"*"})}
	if kind != policy.Trust {
		all.Resources = texts([]string{"*"})
	}
	if Named(kind) {
		all.Principals = []policy.PrincipalEntry{{Type: "*", Text: policy.Text{Text: "*"}}}
		if m.chance(30) {
			all.Principals = m.principals(kind, false)
		}
	}
	d.Statements = append(d.Statements, all)
	if m.chance(25) {
		deny := m.Statement(d, false)
		deny.Index = 1
		d.Statements = append(d.Statements, deny)
	}
	return d
}

// Question makes a question about policies.
func (m *Maker) Question(l *Layers) reference.Question {
	q := l.Question
	if len(l.aim) > 0 {
		aim := pick(m, l.aim...)
		for range 3 { // Those of resources say more of what is asked.
			if Named(aim.Kind) {
				break
			}
			aim = pick(m, l.aim...)
		}
		q.Request, _ = m.Request(aim)
	} else {
		d := m.wide(policy.Identity)
		q.Request, _ = m.Request(d)
	}
	q.Request.Boundary = false
	switch {
	case m.chance(2):
		q.Action = pick(m, "sts:GetCallerIdentity", "sts:getsessiontoken")
	case m.chance(2):
		p := session(own, "AWSServiceRoleForX", "s")
		p.IssuerARN = "arn:aws:iam::" + own + ":role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"
		q.Principal = p
	}
	if q.Principal.Session == nil || !q.Principal.Attachable() {
		q.Caller.Session = nil
	}
	return q
}

// Smaller are questions a little smaller than one: without one of its policies, or with
// a smaller one.
func Smaller(q reference.Question) []reference.Question {
	var out []reference.Question
	change := func(f func(*reference.Question)) {
		c := Copy(q)
		f(&c)
		out = append(out, c)
	}
	for i := range q.Caller.Control {
		change(func(c *reference.Question) { c.Caller.Control = without(c.Caller.Control, i) })
	}
	for i := range q.Caller.Identity {
		change(func(c *reference.Question) { c.Caller.Identity = without(c.Caller.Identity, i) })
	}
	for i := range q.Caller.Session {
		change(func(c *reference.Question) { c.Caller.Session = without(c.Caller.Session, i) })
	}
	for i, level := range q.Caller.Control {
		for j := range level {
			change(func(c *reference.Question) { c.Caller.Control[i] = without(c.Caller.Control[i], j) })
		}
	}
	if q.Caller.Boundary != nil {
		change(func(c *reference.Question) { c.Caller.Boundary = nil })
	}
	if q.ResourcePolicy != nil {
		change(func(c *reference.Question) { c.ResourcePolicy = nil })
	}
	for i, p := range Policies(&q) {
		if p.Document == nil {
			continue
		}
		for _, d := range reductions(p.Document) {
			if parsed, err := Parsed(d); err == nil {
				change(func(c *reference.Question) { Policies(c)[i].Document = parsed })
			}
		}
	}
	return out
}

// Copy is a question that shares no policies with another.
func Copy(q reference.Question) reference.Question {
	clone := func(p *reference.Policy) *reference.Policy {
		if p == nil {
			return nil
		}
		c := *p
		return &c
	}
	q.ResourcePolicy, q.Caller.Boundary = clone(q.ResourcePolicy), clone(q.Caller.Boundary)
	q.Caller.Identity, q.Caller.Session = slices.Clone(q.Caller.Identity), slices.Clone(q.Caller.Session)
	q.Caller.Control = slices.Clone(q.Caller.Control)
	for i := range q.Caller.Control {
		q.Caller.Control[i] = slices.Clone(q.Caller.Control[i])
	}
	if q.Lattice != nil {
		l := *q.Lattice
		for _, layer := range []**reference.Layer{&l.Network, &l.Service} {
			if *layer != nil {
				c := **layer
				c.Policy = clone(c.Policy)
				*layer = &c
			}
		}
		q.Lattice = &l
	}
	return q
}

// Policies are those of a question, always in the same order.
func Policies(q *reference.Question) []*reference.Policy {
	var out []*reference.Policy
	add := func(p *reference.Policy) {
		if p != nil {
			out = append(out, p)
		}
	}
	add(q.ResourcePolicy)
	add(q.Caller.Boundary)
	for _, list := range append([][]reference.Policy{q.Caller.Identity, q.Caller.Session}, q.Caller.Control...) {
		for i := range list {
			add(&list[i])
		}
	}
	if q.Lattice != nil {
		for _, l := range []*reference.Layer{q.Lattice.Network, q.Lattice.Service} {
			if l != nil {
				add(l.Policy)
			}
		}
	}
	return out
}
