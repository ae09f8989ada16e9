package operator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
)

// CreateBindingInput says what a workload is and which role it gets: Role of an
// ecs-task or eks-pod, InstanceProfile, by name, of an ec2-instance.
type CreateBindingInput struct {
	Kind            *string `json:"kind,omitzero" aws:"String,required"`
	Role            *string `json:"role,omitzero" aws:"String"`
	InstanceProfile *string `json:"instanceProfile,omitzero" aws:"String"`
	// Address is the one that an instance asks from; without one it is on the server's
	// own machine.
	Address *string `json:"address,omitzero" aws:"String"`
	// Relative says that a task sends no token, as one that reads its credentials from
	// 169.254.170.2: then the credential id is the only secret.
	Relative *bool `json:"relative,omitzero" aws:"Boolean"`
	// Issuer, Namespace and ServiceAccount are whose pods are meant; Cluster names the
	// cluster in their sessions.
	Issuer         *string `json:"issuer,omitzero" aws:"String"`
	Cluster        *string `json:"cluster,omitzero" aws:"String"`
	Namespace      *string `json:"namespace,omitzero" aws:"String"`
	ServiceAccount *string `json:"serviceAccount,omitzero" aws:"String"`
}

// Binding is a binding as it is shown. The secrets of a task are shown once, when it
// is made.
type Binding struct {
	ID              *string `json:"id,omitzero" aws:"String"`
	ARN             *string `json:"arn,omitzero" aws:"String"`
	Kind            *string `json:"kind,omitzero" aws:"String"`
	Role            *string `json:"role,omitzero" aws:"String"`
	InstanceProfile *string `json:"instanceProfile,omitzero" aws:"String"`
	Address         *string `json:"address,omitzero" aws:"String"`
	Issuer          *string `json:"issuer,omitzero" aws:"String"`
	Cluster         *string `json:"cluster,omitzero" aws:"String"`
	Namespace       *string `json:"namespace,omitzero" aws:"String"`
	ServiceAccount  *string `json:"serviceAccount,omitzero" aws:"String"`

	CredentialID       *string `json:"credentialId,omitzero" aws:"String"`
	AuthorizationToken *string `json:"authorizationToken,omitzero" aws:"String"`
}

// ListBindingsInput is empty.
type ListBindingsInput struct{}

// ListBindingsOutput holds all bindings of the account and region.
type ListBindingsOutput struct {
	Bindings []Binding `json:"bindings,omitzero" aws:"BindingList,required"`
}

// DeleteBindingInput names a binding.
type DeleteBindingInput struct {
	ID *string `json:"-" aws:"String,required,uri=bindingId"`
}

// DeleteBindingOutput is empty.
type DeleteBindingOutput struct{}

// passed finds the role that a binding would give away, with what it is named by;
// the role is nil if there is none.
func passed(tx *store.Tx, c *awsapi.Call, in *CreateBindingInput) (*model.Role, *model.InstanceProfile, error) {
	if *in.Kind == model.EC2Instance {
		p, err := model.Profiles.Get(tx, model.IAMKey(c.Account, model.Deref(in.InstanceProfile)))
		if err != nil || p == nil || p.Role == "" {
			return nil, p, err
		}
		r, err := model.Roles.Get(tx, model.IAMKey(c.Account, p.Role))
		return r, p, err
	}
	arn := model.Deref(in.Role)
	r, err := model.Roles.Get(tx, model.IAMKey(c.Account, arn[strings.LastIndexByte(arn, '/')+1:]))
	if err != nil || r == nil || r.ARN != arn {
		return nil, nil, err
	}
	return r, nil, nil
}

// passesRole makes the resources of CreateBinding: whoever binds a role to a workload
// gives it away, as who starts the workload at AWS does.
// Source: IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
func (s *Service) passesRole(ctx context.Context, c *awsapi.Call, in *CreateBindingInput) ([]awsapi.Resource, error) {
	out := []awsapi.Resource{{ARN: scopeOf(c).ARN(Name, "binding/*")}}
	pass := awsapi.Resource{
		ARN: model.Deref(in.Role), Action: "iam:PassRole",
		Keys: []awsapi.Key{{Name: "iam:PassedToService", Values: []string{model.ServicePrincipal(*in.Kind)}}},
	}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		r, _, err := passed(tx, c, in)
		if r != nil {
			pass.ARN = r.ARN
			for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
				pass.Keys = append(pass.Keys,
					awsapi.Key{Name: "aws:ResourceTag/" + key, Values: []string{r.Tags[key]}},
					awsapi.Key{Name: "iam:ResourceTag/" + key, Values: []string{r.Tags[key]}})
			}
		}
		return err
	})
	if pass.ARN != "" {
		out = append(out, pass)
	}
	return out, err
}

// members are those of an input that are there, by name.
func (in *CreateBindingInput) members() []string {
	var out []string
	for _, m := range []struct {
		name  string
		there bool
	}{
		{"address", in.Address != nil},
		{"cluster", in.Cluster != nil},
		{"instanceProfile", in.InstanceProfile != nil},
		{"issuer", in.Issuer != nil},
		{"namespace", in.Namespace != nil},
		{"relative", in.Relative != nil},
		{"role", in.Role != nil},
		{"serviceAccount", in.ServiceAccount != nil},
	} {
		if m.there {
			out = append(out, m.name)
		}
	}
	return out
}

// kinds are the members that a binding of each kind must have, and those that it may.
var kinds = map[string]struct{ must, may []string }{
	model.ECSTask:     {[]string{"role"}, []string{"relative"}},
	model.EC2Instance: {[]string{"instanceProfile"}, []string{"address"}},
	model.EKSPod:      {[]string{"cluster", "issuer", "namespace", "role", "serviceAccount"}, nil},
}

// plain are names of Kubernetes and EKS, which are a part of names of sessions.
var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (in *CreateBindingInput) check() (addr netip.Addr, err error) {
	kind, ok := kinds[*in.Kind]
	if !ok {
		return addr, API.Invalid("kind", "the kind %q is none of %s", *in.Kind, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	have := in.members()
	for _, name := range kind.must {
		if !slices.Contains(have, name) {
			return addr, API.Invalid(name, "a binding of kind %s must have %s", *in.Kind, strings.Join(kind.must, ", "))
		}
	}
	for _, name := range have {
		if !slices.Contains(kind.must, name) && !slices.Contains(kind.may, name) {
			return addr, API.Invalid(name, "a binding of kind %s has no %s", *in.Kind, name)
		}
	}
	for name, value := range map[string]*string{"cluster": in.Cluster, "namespace": in.Namespace, "serviceAccount": in.ServiceAccount} {
		if value != nil && !plain.MatchString(*value) {
			return addr, API.Invalid(name, "%q is not a name of Kubernetes", *value)
		}
	}
	if in.Address == nil {
		return addr, nil
	}
	addr, err = netip.ParseAddr(*in.Address)
	if err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() {
		return addr, API.Invalid("address", "%q is not the IP address of a machine", *in.Address)
	}
	return addr.Unmap(), nil
}

// claim is the key of what a binding alone may have; "" for a task, which has
// nothing but its secrets.
func claim(b *model.Binding) string {
	switch b.Kind {
	case model.EC2Instance:
		return model.BindingAddressKey(b.Address)
	case model.EKSPod:
		return model.BindingPodsKey(b.Account, b.Issuer, b.Subject())
	}
	return ""
}

// CreateBinding gives a workload a role.
func (s *Service) CreateBinding(ctx context.Context, in *CreateBindingInput) (*Binding, error) {
	addr, err := in.check()
	if err != nil {
		return nil, err
	}
	call := awsapi.FromContext(ctx)
	scope, now := scopeOf(call), s.cfg.Clock()
	b := &model.Binding{
		Meta: model.Meta{Account: scope.Account, Region: scope.Region, Created: now, Updated: now},
		Kind: *in.Kind, Address: addr, Issuer: model.Deref(in.Issuer), Cluster: model.Deref(in.Cluster),
		Namespace: model.Deref(in.Namespace), ServiceAccount: model.Deref(in.ServiceAccount),
	}
	switch {
	case b.Kind == model.EKSPod && scope.Account != s.cfg.PodAccount:
		return nil, API.Invalid("kind", "pods are served for account %s alone: those of account %s can take roles by web identity", s.cfg.PodAccount, scope.Account)
	case b.Kind == model.EC2Instance:
		// No account may speak to the machines of another, nor to all on this one.
		at := addr
		if !at.IsValid() {
			at = netip.IPv6Loopback()
		}
		owner, known := s.cfg.AddressOwner(at)
		if !known {
			return nil, API.Invalid("address", "nobody can tell whose the address %s is: a VPC cannot be read, or several have the address", at)
		}
		if owner != "" && owner != scope.Account {
			return nil, API.Invalid("address", "the address %s is in a VPC of another account: name an address of a machine of your own", at)
		}
	}
	var credentialID, token string
	switch b.Kind {
	case model.EKSPod:
		b.ID = "a-" + strings.ToLower(rand.Text()[:17])
	case model.EC2Instance:
		b.ID = model.NewID("i")
	default:
		var id [16]byte
		rand.Read(id[:]) // never fails: it ends the process instead
		b.ID = hex.EncodeToString(id[:])
		credentialID = rand.Text()
		b.CredentialHash = model.SecretHash(credentialID)
		if !model.Deref(in.Relative) {
			token = rand.Text()
			b.TokenHash = model.SecretHash(token)
		}
	}
	b.ARN = scope.ARN(Name, "binding/"+b.ID)
	err = s.cfg.Update(ctx, func(tx *store.Tx) error {
		role, profile, err := passed(tx, call, in)
		switch {
		case err != nil:
			return err
		case profile != nil:
			b.InstanceProfile = profile.ARN
		case role != nil:
			b.Role = role.ARN
		case b.Kind == model.EC2Instance:
			return fault.New("ResourceNotFoundException", "account %s has no instance profile %s", scope.Account, *in.InstanceProfile)
		default:
			return fault.New("ResourceNotFoundException", "account %s has no role with the ARN %s: a workload gets a role of its own account", scope.Account, *in.Role)
		}
		if b.Kind == model.EKSPod {
			p, err := model.OIDCProviders.Get(tx, model.OIDCProviderKey(scope.Account, model.OIDCProviderName(b.Issuer)))
			if err != nil {
				return err
			}
			if p == nil || p.URL != b.Issuer {
				return noProvider(scope.Account, b.Issuer)
			}
		}
		if key := claim(b); key != "" {
			taken, err := model.Unique.Has(tx, key)
			if err != nil {
				return err
			}
			if taken {
				return fault.New("ConflictException", "there is a binding for %s already: delete it first", workload(b))
			}
			if err := model.Unique.Put(tx, key, &model.Claim{ID: b.ID}); err != nil {
				return err
			}
		}
		return model.Bindings.Put(tx, scope.Key(b.ID), b)
	})
	if err != nil {
		return nil, err
	}
	out := shown(b)
	out.CredentialID, out.AuthorizationToken = model.Present(credentialID), model.Present(token)
	return &out, nil
}

// workload says in words whom a binding is for.
func workload(b *model.Binding) string {
	switch {
	case b.Kind == model.EKSPod:
		return b.Subject() + " of " + b.Issuer
	case !b.Address.IsValid():
		return "the server's own machine"
	}
	return "the address " + b.Address.String()
}

func shown(b *model.Binding) Binding {
	out := Binding{
		ID: &b.ID, ARN: &b.ARN, Kind: &b.Kind, Role: model.Present(b.Role), InstanceProfile: model.Present(b.InstanceProfile),
		Issuer: model.Present(b.Issuer), Cluster: model.Present(b.Cluster), Namespace: model.Present(b.Namespace), ServiceAccount: model.Present(b.ServiceAccount),
	}
	if b.Address.IsValid() {
		out.Address = new(b.Address.String())
	}
	return out
}

// ListBindings lists the bindings of the account and region.
func (s *Service) ListBindings(ctx context.Context, _ *ListBindingsInput) (*ListBindingsOutput, error) {
	out := &ListBindingsOutput{Bindings: []Binding{}}
	return out, s.cfg.View(ctx, func(tx *store.Tx) error {
		all, err := model.Bindings.List(tx, scopeOf(awsapi.FromContext(ctx)).Prefix())
		for i := range all {
			out.Bindings = append(out.Bindings, shown(all[i].Record))
		}
		return err
	})
}

// DeleteBinding takes a role away from a workload. Keys that it has are good until
// they expire, as AWS's are.
func (s *Service) DeleteBinding(ctx context.Context, in *DeleteBindingInput) (*DeleteBindingOutput, error) {
	scope := scopeOf(awsapi.FromContext(ctx))
	return &DeleteBindingOutput{}, s.cfg.Update(ctx, func(tx *store.Tx) error {
		b, err := model.Bindings.Get(tx, scope.Key(*in.ID))
		if err != nil {
			return err
		}
		if b == nil {
			return fault.New("ResourceNotFoundException", "account %s has no binding %s in %s", scope.Account, *in.ID, scope.Region)
		}
		if key := claim(b); key != "" {
			if err := model.Unique.Delete(tx, key); err != nil {
				return err
			}
		}
		return model.Bindings.Delete(tx, scope.Key(b.ID))
	})
}
