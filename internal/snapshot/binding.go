package snapshot

import (
	"net/netip"

	"github.com/latchwork/latchwork/internal/model"
)

// bindingTable finds workloads. It is made anew as a whole: a binding comes and goes
// with a workload, not with a request.
type bindingTable struct {
	// tasks are by the hash of their credential id, instances by their address. Those
	// without an address are on this machine.
	tasks     map[string]*model.Binding
	instances map[netip.Addr]*model.Binding
	here      []*model.Binding
	// pods are by account, issuer and subject.
	pods map[podKey]*model.Binding
}

type podKey struct{ account, issuer, subject string }

func buildBindingTable(bindings map[string]*model.Binding) *bindingTable {
	t := &bindingTable{tasks: map[string]*model.Binding{}, instances: map[netip.Addr]*model.Binding{}, pods: map[podKey]*model.Binding{}}
	for _, b := range bindings {
		switch {
		case b.Kind == model.ECSTask && len(b.CredentialHash) > 0:
			t.tasks[string(b.CredentialHash)] = b
		case b.Kind == model.EC2Instance && b.Address.IsValid():
			t.instances[b.Address] = b
		case b.Kind == model.EC2Instance:
			t.here = append(t.here, b)
		case b.Kind == model.EKSPod:
			t.pods[podKey{b.Account, b.Issuer, b.Subject()}] = b
		}
	}
	return t
}

func (t *bindingTable) len() int { return len(t.tasks) + len(t.instances) + len(t.here) + len(t.pods) }

// Task finds the binding of a task by its credential id; nil if there is none.
func (s *Snapshot) Task(credentialID string) *model.Binding {
	return s.bindings.tasks[string(model.SecretHash(credentialID))]
}

// Instance finds the binding of the instance that has an address; nil if there is
// none. On loopback it is the one that has no address, if it is the only one.
func (s *Snapshot) Instance(addr netip.Addr) *model.Binding {
	addr = addr.Unmap().WithZone("")
	if b := s.bindings.instances[addr]; b != nil {
		return b
	}
	if addr.IsLoopback() && len(s.bindings.here) == 1 {
		return s.bindings.here[0]
	}
	return nil
}

// Pods finds the binding that an account has for the subject of an issuer's tokens; nil
// if there is none.
func (s *Snapshot) Pods(account, issuer, subject string) *model.Binding {
	return s.bindings.pods[podKey{account, issuer, subject}]
}

// InstanceProfile is an instance profile with the ARN of the role that it holds, ""
// if it holds none.
type InstanceProfile struct {
	*model.InstanceProfile
	RoleARN string
}

// InstanceProfile finds an instance profile by its ARN.
func (s *Snapshot) InstanceProfile(arn string) (*InstanceProfile, bool) {
	return s.profiles.get(arn)
}

func (b *builder) profile(out *editor[*InstanceProfile], id, was string) {
	forget(out, was)
	p, ok := b.st.profiles.rows[id]
	if !ok {
		return
	}
	made := &InstanceProfile{InstanceProfile: p}
	// A role cannot move, and cannot go while a profile holds it.
	if r, ok := b.st.roles.rows[model.IAMKey(p.Account, p.Role)]; ok && p.Role != "" {
		made.RoleARN = r.ARN
	}
	out.set(p.ARN, made)
}
