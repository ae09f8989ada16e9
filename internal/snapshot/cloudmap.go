package snapshot

import "github.com/latchwork/latchwork/internal/model"

// CloudMapService is a Cloud Map service with its instances, healthy or not, by id.
type CloudMapService struct {
	*model.CloudMapService
	Instances []*model.Instance
}

// Namespace finds a Cloud Map namespace by its name; nil if there is none.
func (s *Snapshot) Namespace(account, region, name string) *model.Namespace {
	n, _ := s.namespaces.get(namespaceKey(account, region, name))
	return n
}

// CloudMapService finds a Cloud Map service by its namespace's name and its own; nil if
// there is none. The caller must not change it.
func (s *Snapshot) CloudMapService(account, region, namespace, name string) *CloudMapService {
	v, _ := s.discoverable.get(discoveryKey(account, region, namespace, name))
	return v
}

// namespaceKey is what a Cloud Map namespace is found by.
func namespaceKey(account, region, name string) string {
	return model.Scope{Account: account, Region: region}.Key(name)
}

// discoveryKey is what a Cloud Map service is found by. A namespace's name may have
// '/' in it and a service's may not.
func discoveryKey(account, region, namespace, service string) string {
	return model.Scope{Account: account, Region: region}.Key(namespace, service)
}

// rediscovered are the names whose instances must be collected anew: those of
// changed services, of changed instances, and of all that is in changed namespaces.
func (b *builder) rediscovered() set {
	d := &b.st.dirty
	for namespace := range d.spaces {
		for service := range b.st.foundIn[namespace] {
			d.found.add(service)
		}
	}
	for key := range d.found {
		if v, ok := b.st.found.rows[key]; ok {
			d.discovery.add(discoveryKey(v.Account, v.Region, v.NamespaceName, v.Name))
		}
	}
	return d.discovery
}

func (b *builder) namespace(out *editor[*model.Namespace], id, was string) {
	forget(out, was)
	if n, ok := b.st.spaces.rows[id]; ok {
		out.set(namespaceKey(n.Account, n.Region, n.Name), n)
	}
}

// discovery collects the instances of the service with a name.
func (b *builder) discovery(out *editor[*CloudMapService], key string) {
	for _, service := range sortedKeys(b.st.foundNamed[key]) {
		v := b.st.found.rows[service]
		if b.st.spaces.rows[model.Scope{Account: v.Account, Region: v.Region}.Key(v.Namespace)] == nil {
			continue
		}
		made := &CloudMapService{CloudMapService: v}
		for _, instance := range sortedKeys(b.st.instancesOf[service]) {
			made.Instances = append(made.Instances, b.st.instances.rows[instance])
		}
		out.set(key, made)
		return
	}
	out.remove(key)
}
