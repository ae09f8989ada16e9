package xds

import (
	"maps"
	"slices"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// subscription is what one stream knows of one kind: what the proxy wants, and how
// far it has come.
type subscription struct {
	active bool
	// all is a wildcard subscription; names are those of another one.
	all   bool
	names map[string]struct{}
	// fresh are names that were asked for and not answered yet.
	fresh map[string]struct{}
	// resume holds the versions of resources that the proxy says it has, when it
	// comes back: only what differs is sent. nil otherwise.
	resume map[string]string

	// sent is the serial of the table when what was new was last sent; 0 for not at
	// all. dropped is the same for what went, and may be behind: a cluster goes when
	// nothing refers to it any more.
	sent, dropped serial
	// version is that of the last response, nonce its nonce, 0 if there was none.
	version string
	nonce   uint64
	// awaited says that the proxy has not answered the last response. Nothing more
	// is sent until it does, so that a slow proxy gets the newest state and not all
	// that was between.
	awaited bool
	// flight is what the last response has of new things, until it is answered.
	flight []*resource
	// refused are the versions of resources that were in a response which the proxy
	// refused, and that it has not taken since; rejected is its last error text.
	// rejections counts.
	refused    map[string]string
	rejected   string
	rejections int
}

// wants tells whether a resource is subscribed to.
func (s *subscription) wants(name string) bool {
	if s.all {
		return true
	}
	_, ok := s.names[name]
	return ok
}

// covers tells whether all of a list is subscribed to.
func (s *subscription) covers(list []*resource) bool {
	return s.all || !slices.ContainsFunc(list, func(r *resource) bool { return !s.wants(r.name) })
}

// wanted is the part of a list that is subscribed to.
func (s *subscription) wanted(list []*resource) []*resource {
	if s.covers(list) {
		return list
	}
	var out []*resource
	for _, r := range list {
		if s.wants(r.name) {
			out = append(out, r)
		}
	}
	return out
}

// answer takes over what the proxy says of the last response. It is false for an
// answer to an older one, which says nothing any more.
func (s *subscription) answer(nonce, failure string) bool {
	if s.nonce == 0 || nonce != nonceText(s.nonce) {
		return false
	}
	if !s.awaited {
		return true // it has been answered, and the first answer counts
	}
	for _, r := range s.flight {
		if failure == "" {
			delete(s.refused, r.name)
			continue
		}
		if s.refused == nil {
			s.refused = map[string]string{}
		}
		s.refused[r.name] = r.version
	}
	if failure != "" {
		s.rejected = failure
		s.rejections++
	}
	s.awaited, s.flight = false, nil
	return true
}

// refuses tells whether something is wanted of the table that the proxy has refused.
func (s *subscription) refuses(t *table) bool {
	for name, version := range s.refused {
		if r := t.byName[name]; r != nil && r.version == version && s.wants(name) {
			return true
		}
	}
	return false
}

// inStep tells whether the proxy has taken what the table has now.
func (s *subscription) inStep(t *table) bool {
	return !s.active || s.sent == t.serial && s.dropped == t.serial && !s.awaited && len(s.fresh) == 0 && !s.refuses(t)
}

// underWay tells whether the proxy is yet to say what it makes of what the table has.
func (s *subscription) underWay(t *table) bool {
	return s.active && (s.awaited || s.sent != t.serial)
}

// sotwRequest takes over a request of the state-of-the-world protocol.
func (s *subscription) sotwRequest(k kind, r *discovery.DiscoveryRequest, t *table) {
	first := !s.active
	if !first {
		failure := ""
		if r.ErrorDetail != nil {
			failure = errorText(r.ErrorDetail.GetMessage())
		}
		if !s.answer(r.GetResponseNonce(), failure) && s.nonce != 0 {
			// It was sent before the last response came, which will be answered with
			// the same names.
			return
		}
	}
	s.active = true
	names := map[string]struct{}{}
	all := false
	for _, name := range r.GetResourceNames() {
		if name == "*" {
			all = true
			continue
		}
		if _, had := s.names[name]; !had && !s.all {
			s.ask(name)
		}
		names[name] = struct{}{}
	}
	// No names at all mean everything, until a name was given.
	s.all = all || len(names) == 0 && (first || s.all)
	s.names = names
	if first && s.all && k.whole() && r.GetVersionInfo() != "" && r.GetVersionInfo() == t.version && r.ErrorDetail == nil {
		// The proxy was here before and has what there is.
		s.sent, s.dropped, s.version = t.serial, t.serial, t.version
	}
}

// deltaRequest takes over a request of the incremental protocol.
func (s *subscription) deltaRequest(r *discovery.DeltaDiscoveryRequest) {
	first := !s.active
	if r.GetResponseNonce() != "" {
		failure := ""
		if r.ErrorDetail != nil {
			failure = errorText(r.ErrorDetail.GetMessage())
		}
		s.answer(r.GetResponseNonce(), failure)
	}
	s.active = true
	if s.names == nil {
		s.names = map[string]struct{}{}
	}
	if first {
		s.all = len(r.GetResourceNamesSubscribe()) == 0
		s.resume = r.GetInitialResourceVersions()
	}
	for _, name := range r.GetResourceNamesSubscribe() {
		if name == "*" {
			s.all = true
			continue
		}
		// A name that is subscribed to again is wanted again.
		s.names[name] = struct{}{}
		s.ask(name)
	}
	for _, name := range r.GetResourceNamesUnsubscribe() {
		if name == "*" {
			s.all = false
			continue
		}
		delete(s.names, name)
		delete(s.fresh, name)
	}
}

// ask notes that a name was newly asked for.
func (s *subscription) ask(name string) {
	if s.fresh == nil {
		s.fresh = map[string]struct{}{}
	}
	s.fresh[name] = struct{}{}
}

// due is what to send now, nil for nothing, but for the nonce. settled says that
// the proxy has taken all that may refer to clusters, so that those which are to go
// can. behind is true for a proxy of which it is not known any more what it has.
func (s *subscription) due(t *table, incremental, settled bool) (message []byte, behind bool) {
	if !s.active || s.awaited {
		return nil, false
	}
	first := s.sent == 0
	if !first && s.dropped < t.floor {
		return nil, true
	}
	if s.sent == t.serial && len(s.fresh) == 0 && s.refuses(t) {
		return nil, false // it would be refused again
	}
	if s.resume != nil {
		return s.resumed(t), false
	}
	var changed, gone []*resource
	if s.sent != t.serial {
		changed = t.after(s.sent)
	}
	if !first && s.dropped != t.serial {
		gone = t.gone(s.dropped)
	}
	key := messageKey{incremental, s.sent, s.dropped}
	dropped := t.serial
	if t.kind == clusters && !settled && len(gone) > 0 {
		dropped = s.dropped
	}
	// What of gone is in the message: what is told to be gone, or what is still there.
	told := gone
	if incremental == (dropped != t.serial) {
		told, key.dropped = nil, t.serial
	}
	fresh, missing := s.takeFresh(t)
	if !incremental {
		missing = nil // there is no way to tell
	}
	news := len(changed) > 0 || len(fresh) > 0 || len(missing) > 0
	if dropped == t.serial {
		// Only the incremental protocol and whole responses tell what went.
		news = news || len(gone) > 0 && (incremental || t.kind.whole())
	}
	if !first && !news {
		s.sent, s.dropped = t.serial, dropped
		return nil, false
	}
	if !incremental && t.kind.whole() {
		changed, fresh, key.sent = t.sorted, nil, 0
	} else if !incremental {
		told, key.dropped = nil, t.serial
	}
	if first {
		key.dropped = t.serial
	}
	s.sent, s.dropped = t.serial, dropped
	if s.covers(changed) && s.covers(told) && len(fresh) == 0 && len(missing) == 0 {
		s.flight = changed
		return t.message(key), false
	}
	changed, told = slices.Concat(s.wanted(changed), fresh), s.wanted(told)
	if !first && len(changed) == 0 && len(told) == 0 && len(missing) == 0 {
		return nil, false
	}
	s.flight = changed
	return t.encode(incremental, changed, told, missing), false
}

// resumed is what a proxy that has come back does not have, by its own account.
func (s *subscription) resumed(t *table) []byte {
	var changed []*resource
	var missing []string
	for _, r := range s.wanted(t.sorted) {
		if s.resume[r.name] != r.version {
			changed = append(changed, r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.resume)) {
		if t.byName[name] == nil {
			missing = append(missing, name)
		}
	}
	for name := range s.names {
		if _, had := s.resume[name]; t.byName[name] == nil && !had {
			missing = append(missing, name)
		}
	}
	s.resume, s.fresh = nil, nil
	s.sent, s.dropped = t.serial, t.serial
	if len(changed) == 0 && len(missing) == 0 {
		return nil
	}
	s.flight = changed
	return t.encode(true, changed, nil, missing)
}

// takeFresh takes the names that were newly asked for: what there is of them and has
// not changed since it was sent, and those that nothing has.
func (s *subscription) takeFresh(t *table) (found []*resource, missing []string) {
	for _, name := range slices.Sorted(maps.Keys(s.fresh)) {
		r := t.byName[name]
		switch {
		case !s.wants(name): // it was asked for, and then no more
		case r == nil:
			missing = append(missing, name)
		case r.changed <= s.sent:
			found = append(found, r)
		}
	}
	s.fresh = nil
	return found, missing
}

// begun notes that a message was given a nonce and is under way.
func (s *subscription) begun(version string, nonce uint64) {
	s.version, s.nonce, s.awaited = version, nonce, true
}
