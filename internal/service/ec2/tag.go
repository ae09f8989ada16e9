package ec2

import (
	"context"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/ec2"
)

// CreateTags implements ec2:CreateTags.
func (s *Service) CreateTags(ctx context.Context, in *wire.CreateTagsRequest) (*wire.CreateTagsResponse, error) {
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return nil, s.retag(ctx, in.Resources, func(tags map[string]string) {
		for _, t := range in.Tags {
			tags[model.Deref(t.Key)] = model.Deref(t.Value)
		}
	})
}

// DeleteTags implements ec2:DeleteTags: the named tags, with that value if one is
// given, or all.
func (s *Service) DeleteTags(ctx context.Context, in *wire.DeleteTagsRequest) (*wire.DeleteTagsResponse, error) {
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return nil, s.retag(ctx, in.Resources, func(tags map[string]string) {
		if len(in.Tags) == 0 {
			clear(tags)
		}
		for _, t := range in.Tags {
			if t.Value == nil || tags[model.Deref(t.Key)] == *t.Value {
				delete(tags, model.Deref(t.Key))
			}
		}
	})
}

func (s *Service) retag(ctx context.Context, ids []string, change func(map[string]string)) error {
	scope := s.scope(ctx)
	return s.cfg.Update(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			v, err := s.vpc(tx, scope, id)
			if err != nil {
				return err
			}
			before, _ := gatewayAddress(v.Tags)
			if v.Tags == nil {
				v.Tags = map[string]string{}
			}
			change(v.Tags)
			if err := checkTags(v.Tags); err != nil {
				return err
			}
			after, err := gatewayAddress(v.Tags)
			if err != nil {
				return err
			}
			if before != after && before.IsValid() {
				if err := model.Unique.Delete(tx, claimKey(scope.Region, "gateway", before.String())); err != nil {
					return err
				}
			}
			if before != after && after.IsValid() {
				if err := s.claimGateway(tx, v, after); err != nil {
					return err
				}
			}
			v.Updated = s.cfg.Clock()
			if err := model.VPCs.Put(tx, scope.Key(v.ID), v); err != nil {
				return err
			}
		}
		return nil
	})
}

// claimGateway binds a gateway address to a VPC. It is the installation that says
// whose an address is: whoever has it says what network its clients are in.
func (s *Service) claimGateway(tx *store.Tx, v *model.VPC, address netip.Addr) error {
	if s.cfg.Settings.GatewayAccount(address) != v.Account {
		return badParameter("The gateway address %s is not one of account %s: the installation's configuration gives it to an account with gateway-addresses", address, v.Account)
	}
	return claim(tx, v.Region, "gateway", address.String(), v.ID, func(holder string) error {
		return badParameter("The gateway address %s is bound to %s already", address, holder)
	})
}

// gatewayAddress checks the tag that binds a gateway address to a VPC; the zero
// address where there is none.
func gatewayAddress(tags map[string]string) (netip.Addr, error) {
	value, ok := tags[model.GatewayAddressTag]
	if !ok {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(value)
	if err != nil || addr.IsUnspecified() || addr.IsMulticast() {
		return netip.Addr{}, badParameter("The tag %s must be one of the gateway's IP addresses, found %q", model.GatewayAddressTag, value)
	}
	return addr.Unmap(), nil
}

func checkTags(tags map[string]string) error {
	if len(tags) > 50 {
		return fault.New("TagLimitExceeded", "The maximum number of tags for a resource has been reached: 50.")
	}
	for k, v := range tags {
		// Source: EC2 User Guide, "Tag your Amazon EC2 resources", "Tag restrictions".
		switch {
		case k == "":
			return badParameter("Tag keys must not be empty")
		case utf8.RuneCountInString(k) > 128:
			return badParameter("Tag keys have 128 characters at most")
		case utf8.RuneCountInString(v) > 256:
			return badParameter("Tag values have 256 characters at most: that of %q is longer", k)
		}
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return badParameter("Tag keys starting with 'aws:' are reserved for internal use")
		}
	}
	return nil
}

func specifiedTags(specs []wire.TagSpecification) (map[string]string, error) {
	tags := map[string]string{}
	for _, spec := range specs {
		if spec.ResourceType == nil || *spec.ResourceType != "vpc" {
			return nil, badParameter("The resource type of tag specifications must be vpc")
		}
		for _, t := range spec.Tags {
			tags[model.Deref(t.Key)] = model.Deref(t.Value)
		}
	}
	return tags, checkTags(tags)
}
