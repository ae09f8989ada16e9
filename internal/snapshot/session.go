package snapshot

import (
	"sync"

	"github.com/latchwork/latchwork/internal/policy"
)

// sessions remembers compiled session policies. They are not stored: they come
// with each request, inside its session token, so the same few texts come again
// and again.
type sessions struct {
	mu    sync.RWMutex
	known map[string]*Policy
}

// maxSessionPolicies bounds the cache; when it is full it starts anew.
const maxSessionPolicies = 10000

// SessionPolicy compiles an inline session policy.
func (s *Snapshot) SessionPolicy(text string) *Policy {
	c := s.sessions
	c.mu.RLock()
	p := c.known[text]
	c.mu.RUnlock()
	if p != nil {
		return p
	}
	p = Compile(policy.Session, "session policy", text)
	c.mu.Lock()
	if len(c.known) >= maxSessionPolicies {
		clear(c.known)
	}
	c.known[text] = p
	c.mu.Unlock()
	return p
}
