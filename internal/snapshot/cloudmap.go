package snapshot

import "github.com/latchwork/latchwork/internal/model"

// Instances are those that are registered for a Cloud Map service, healthy or not,
// by id; ok is false where there is no such namespace or service in the account and
// region. The caller must not change the slice.
func (s *Snapshot) Instances(account, region, namespace, service string) (instances []*model.Instance, ok bool) {
	return s.instances.get(discoveryKey(account, region, namespace, service))
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

// discovery collects the instances of the service with a name.
func (b *builder) discovery(out *editor[[]*model.Instance], key string) {
	for _, service := range sortedKeys(b.st.foundNamed[key]) {
		v := b.st.found.rows[service]
		if b.st.spaces.rows[model.Scope{Account: v.Account, Region: v.Region}.Key(v.Namespace)] == nil {
			continue
		}
		var instances []*model.Instance
		for _, instance := range sortedKeys(b.st.instancesOf[service]) {
			instances = append(instances, b.st.instances.rows[instance])
		}
		out.set(key, instances)
		return
	}
	out.remove(key)
}
