package xds

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// list makes resources: each word is name=value.
func list(words ...string) []*resource {
	var out []*resource
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		out = append(out, &resource{name: name, version: hash([]byte(value)), any: []byte{}})
	}
	slices.SortFunc(out, func(a, b *resource) int { return strings.Compare(a.name, b.name) })
	return out
}

// client is a proxy that does what the protocol says, and knows what it holds.
type client struct {
	incremental bool
	sub         subscription
	nonce       uint64
	// holds are versions of resources by name.
	holds map[string]string
	// open is the response that is not answered yet.
	version string
	names   []string
	pending bool
}

// take decodes a message and applies it, as Envoy does.
func (c *client) take(t interface{ Fatalf(string, ...any) }, k kind, tb *table, message []byte) {
	c.nonce++
	c.sub.begun(tb.version, c.nonce)
	c.pending = true
	if c.incremental {
		var r discovery.DeltaDiscoveryResponse
		if err := proto.Unmarshal(message, &r); err != nil {
			t.Fatalf("%v", err)
		}
		if r.GetTypeUrl() != typeURLs[k] {
			t.Fatalf("type %s", r.GetTypeUrl())
		}
		for _, res := range r.GetResources() {
			c.holds[res.GetName()] = res.GetVersion()
		}
		for _, name := range r.GetRemovedResources() {
			delete(c.holds, name)
		}
		return
	}
	var r discovery.DiscoveryResponse
	if err := proto.Unmarshal(message, &r); err != nil {
		t.Fatalf("%v", err)
	}
	c.version = r.GetVersionInfo()
	if k.whole() {
		clear(c.holds)
	}
	for _, a := range r.GetResources() {
		// The tests' resources have their name and version as their value.
		name, version, _ := strings.Cut(string(a.GetValue()), " ")
		c.holds[name] = version
	}
}

// answer acknowledges what is pending, or refuses it.
func (c *client) answer(k kind, tb *table, failure string) {
	var detail *status.Status
	if failure != "" {
		detail = &status.Status{Message: failure}
	}
	if c.incremental {
		c.sub.deltaRequest(&discovery.DeltaDiscoveryRequest{TypeUrl: typeURLs[k], ResponseNonce: nonceText(c.nonce), ErrorDetail: detail})
	} else {
		c.sub.sotwRequest(k, &discovery.DiscoveryRequest{TypeUrl: typeURLs[k], VersionInfo: c.version, ResponseNonce: nonceText(c.nonce), ResourceNames: c.names, ErrorDetail: detail}, tb)
	}
	c.pending = false
}

// TestAnyHistory: whatever changes, and however late a proxy answers, in the end it
// holds exactly what there is of what it wants; and a cluster never goes while
// something that may refer to it is not settled.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := kind(rapid.SampledFrom([]kind{clusters, assignments, listeners}).Draw(t, "kind"))
		c := &client{incremental: rapid.Bool().Draw(t, "incremental"), holds: map[string]string{}}
		draw := func() []*resource {
			var words []string
			for i := range 4 {
				if v := rapid.IntRange(0, 3).Draw(t, "value"); v > 0 {
					words = append(words, fmt.Sprintf("r%d=%d", i, v))
				}
			}
			out := list(words...)
			for _, r := range out {
				r.any = anyOf(k, r)
			}
			return out
		}
		tb := next(nil, k, draw())
		all := k.whole()
		subscribe := func() {
			names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"r0", "r1", "r2", "r3"}), 1, 4, rapid.ID[string]).Draw(t, "names")
			if c.incremental {
				var drop []string
				for name := range c.sub.names {
					if !slices.Contains(names, name) {
						drop = append(drop, name)
						delete(c.holds, name)
					}
				}
				c.sub.deltaRequest(&discovery.DeltaDiscoveryRequest{TypeUrl: typeURLs[k], ResourceNamesSubscribe: names, ResourceNamesUnsubscribe: drop})
			} else {
				if c.pending {
					return // it comes with the answer
				}
				c.sub.sotwRequest(k, &discovery.DiscoveryRequest{TypeUrl: typeURLs[k], ResourceNames: names, ResponseNonce: nonceText(c.nonce)}, tb)
				for name := range c.holds {
					if !slices.Contains(names, name) {
						delete(c.holds, name)
					}
				}
			}
			c.names = names
		}
		if all {
			if c.incremental {
				c.sub.deltaRequest(&discovery.DeltaDiscoveryRequest{TypeUrl: typeURLs[k]})
			} else {
				c.sub.sotwRequest(k, &discovery.DiscoveryRequest{TypeUrl: typeURLs[k]}, tb)
			}
		} else {
			subscribe()
		}
		var gone map[string]bool
		flush := func(settled bool) {
			before := maps.Clone(c.holds)
			message, behind := c.sub.due(tb, c.incremental, settled)
			if behind {
				t.Fatalf("behind")
			}
			if message == nil {
				return
			}
			c.take(t, k, tb, message)
			for name := range before {
				if _, holds := c.holds[name]; !holds && k == clusters && !settled {
					t.Fatalf("cluster %s went although something may refer to it", name)
				}
			}
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				tb = next(tb, k, draw())
			case 1:
				flush(false)
			case 2:
				flush(true)
			case 3:
				if c.pending {
					c.answer(k, tb, rapid.SampledFrom([]string{"", "", "bad"}).Draw(t, "failure"))
				}
			case 4:
				if !all {
					subscribe()
				}
			}
		}
		// The end: what was refused changes, the proxy answers everything, and all is
		// settled.
		if c.pending {
			c.answer(k, tb, "")
		}
		if c.sub.refuses(tb) {
			last := list("last=1")
			last[0].any = anyOf(k, last[0])
			tb = next(tb, k, last)
		}
		for range 4 {
			if c.pending {
				c.answer(k, tb, "")
			}
			flush(true)
		}
		want := map[string]string{}
		for _, r := range tb.sorted {
			if c.sub.wants(r.name) {
				want[r.name] = r.version
			}
		}
		if !k.whole() && !c.incremental {
			// Nothing tells a proxy of the state-of-the-world protocol that one of these
			// went; it goes with what refers to it.
			gone = map[string]bool{}
			for name := range c.holds {
				if tb.byName[name] == nil {
					gone[name] = true
				}
			}
			for name := range gone {
				delete(c.holds, name)
			}
		}
		if !maps.Equal(c.holds, want) {
			t.Fatalf("the proxy holds %v, want %v", c.holds, want)
		}
		if message, _ := c.sub.due(tb, c.incremental, true); message != nil {
			t.Fatalf("something is due for ever")
		}
	})
}

// anyOf encodes an Any whose value tells a resource's name and version.
func anyOf(k kind, r *resource) []byte {
	text := r.name + " " + r.version
	b := append([]byte{0x0a, byte(len(typeURLs[k]))}, typeURLs[k]...)
	return append(append(b, 0x12, byte(len(text))), text...)
}

// TestRejected: what a proxy refused is not sent again until it changes, however
// often it asks.
func TestRejected(t *testing.T) {
	for _, incremental := range []bool{false, true} {
		c := &client{incremental: incremental, holds: map[string]string{}}
		tb := next(nil, listeners, list("a=1"))
		if incremental {
			c.sub.deltaRequest(&discovery.DeltaDiscoveryRequest{})
		} else {
			c.sub.sotwRequest(listeners, &discovery.DiscoveryRequest{}, tb)
		}
		message, _ := c.sub.due(tb, incremental, true)
		c.take(t, listeners, tb, message)
		for range 3 {
			c.answer(listeners, tb, "no such file")
			if message, _ := c.sub.due(tb, incremental, true); message != nil {
				t.Errorf("incremental %t: a refused response is sent again", incremental)
			}
		}
		if c.sub.rejected != "no such file" || c.sub.rejections != 1 || c.sub.inStep(tb) {
			t.Errorf("incremental %t: rejected %q", incremental, c.sub.rejected)
		}
		tb = next(tb, listeners, list("a=2"))
		if message, _ = c.sub.due(tb, incremental, true); message == nil {
			t.Fatal("the next version is not sent")
		}
		c.take(t, listeners, tb, message)
		c.answer(listeners, tb, "")
		if !c.sub.inStep(tb) {
			t.Errorf("incremental %t: not in step after an acknowledgement", incremental)
		}
	}
}

// TestStaysRefused: that a proxy takes something else does not make it take what it
// refused.
func TestStaysRefused(t *testing.T) {
	for _, incremental := range []bool{false, true} {
		c := &client{incremental: incremental, holds: map[string]string{}, names: []string{"a"}}
		tb := next(nil, routes, list("a=1", "b=1"))
		ask := func(names ...string) {
			c.names = names
			if incremental {
				c.sub.deltaRequest(&discovery.DeltaDiscoveryRequest{ResourceNamesSubscribe: names})
			} else {
				c.sub.sotwRequest(routes, &discovery.DiscoveryRequest{ResourceNames: names, ResponseNonce: nonceText(c.nonce)}, tb)
			}
		}
		exchange := func(failure string) {
			t.Helper()
			message, _ := c.sub.due(tb, incremental, true)
			if message == nil {
				t.Fatalf("incremental %t: nothing is due", incremental)
			}
			c.take(t, routes, tb, message)
			c.answer(routes, tb, failure)
		}
		ask("a")
		exchange("no such cluster")
		ask("a", "b")
		if incremental {
			// Asked for again, it is sent again; only b is new here.
			delete(c.sub.fresh, "a")
		}
		exchange("")
		if c.sub.inStep(tb) {
			t.Errorf("incremental %t: in step although a was refused", incremental)
		}
		tb = next(tb, routes, list("a=2", "b=1"))
		exchange("")
		if !c.sub.inStep(tb) {
			t.Errorf("incremental %t: not in step with what it has taken", incremental)
		}
	}
}

// TestComesBack: a proxy that reconnects and has everything is sent nothing; else
// what it lacks.
func TestComesBack(t *testing.T) {
	tb := next(nil, clusters, list("a=1", "b=1"))
	var s subscription
	s.sotwRequest(clusters, &discovery.DiscoveryRequest{VersionInfo: tb.version}, tb)
	if message, _ := s.due(tb, false, true); message != nil || !s.inStep(tb) {
		t.Error("a proxy with the same version is sent it again")
	}
	s = subscription{}
	s.sotwRequest(clusters, &discovery.DiscoveryRequest{VersionInfo: "another"}, tb)
	if message, _ := s.due(tb, false, true); message == nil {
		t.Error("a proxy with another version is sent nothing")
	}
	s = subscription{}
	s.deltaRequest(&discovery.DeltaDiscoveryRequest{InitialResourceVersions: map[string]string{"a": hash([]byte("1")), "b": "old", "c": "x"}})
	message, _ := s.due(tb, true, true)
	var r discovery.DeltaDiscoveryResponse
	if err := proto.Unmarshal(message, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.GetResources()) != 1 || r.GetResources()[0].GetName() != "b" || !slices.Equal(r.GetRemovedResources(), []string{"c"}) {
		t.Errorf("sent %v", &r)
	}
	// What it asks for and nothing has, it is told of.
	s = subscription{}
	s.deltaRequest(&discovery.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"a", "none"}})
	message, _ = s.due(tb, true, true)
	r.Reset()
	if err := proto.Unmarshal(message, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.GetResources()) != 1 || !slices.Equal(r.GetRemovedResources(), []string{"none"}) {
		t.Errorf("sent %v", &r)
	}
}

// TestShared: proxies in the same state are sent the same bytes, made once.
func TestShared(t *testing.T) {
	tb := next(nil, clusters, list("a=1"))
	tb = next(tb, clusters, list("a=2", "b=1"))
	for _, incremental := range []bool{false, true} {
		var first []byte
		for range 3 {
			s := subscription{active: true, all: true, sent: 1, dropped: 1}
			message, _ := s.due(tb, incremental, true)
			if first == nil {
				first = message
			}
			if &first[0] != &message[0] {
				t.Errorf("incremental %t: made anew", incremental)
			}
		}
	}
	if same := next(tb, clusters, list("b=1", "a=2")); same != tb {
		t.Error("a table that is the same is a new one")
	}
}

// TestTooFarBehind: when it is not known any more what went, the proxy must come
// again.
func TestTooFarBehind(t *testing.T) {
	tb := next(nil, clusters, list("a=1"))
	for i := range maxRemoved + 5 {
		tb = next(tb, clusters, list(fmt.Sprintf("b%d=1", i)))
	}
	s := subscription{active: true, all: true, sent: 1, dropped: 1}
	if _, behind := s.due(tb, true, true); !behind {
		t.Error("a proxy that missed too much is not told to come again")
	}
	s = subscription{active: true, all: true, sent: tb.serial - 10, dropped: tb.serial - 10}
	if message, behind := s.due(tb, true, true); behind || message == nil {
		t.Error("a proxy that is not far behind is not sent what it missed")
	}
}
