package xds

import (
	"sync"

	"github.com/latchwork/latchwork/internal/snapshot"
	"github.com/latchwork/latchwork/internal/store"
	"github.com/latchwork/latchwork/internal/xds/translate"
)

// entryKey says whose configuration an entry has.
type entryKey struct {
	arn, owner string
	proxy      translate.Proxy
}

// entry is the configuration of one mesh endpoint, for all proxies that stand for it
// in the same way. There is one as long as there is such a proxy.
type entry struct {
	key   entryKey
	claim claim
	// users counts the streams; it belongs to Server.mu.
	users int

	mu sync.Mutex
	// mesh is the newest, reads what tables was made of.
	mesh   *snapshot.Mesh
	reads  translate.Reads
	tables tables
	// revision is that of the newest snapshot in which the tables are right.
	revision store.Revision
	// problem is why the newest snapshot could not be translated; the tables are then
	// those of the last one that could.
	problem error
}

// state is what an entry has now.
type state struct {
	mesh     *snapshot.Mesh
	tables   tables
	revision store.Revision
	problem  error
}

// state gives the current configuration.
func (e *entry) state() state {
	e.mu.Lock()
	defer e.mu.Unlock()
	return state{e.mesh, e.tables, e.revision, e.problem}
}

// update brings the entry to a snapshot. It tells whether its proxies have something
// to be sent. An older snapshot than the one it has is passed over. anew translates
// also where nothing that it reads has changed, for certificates that have aged.
func (e *entry) update(snap *snapshot.Snapshot, certificates translate.Certificates, anew bool) (changed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if snap.Revision() < e.revision {
		return false
	}
	mesh := snap.MeshOf(e.key.arn, e.key.owner)
	if mesh == nil {
		// The endpoint is gone, and its streams end; what they were sent stays.
		return false
	}
	if anew || !e.reads.Same(snap, mesh) {
		made, err := translate.Endpoint(snap, mesh, e.claim.endpoint, e.key.proxy, certificates)
		if err == nil {
			e.tables, changed, err = e.tables.after(made)
		}
		if e.problem = err; err != nil {
			e.reads = nil
			return false
		}
		e.reads = made.Reads
	}
	e.mesh = mesh
	e.revision = snap.Revision()
	return changed
}
