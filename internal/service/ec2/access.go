package ec2

import (
	"context"
	"errors"

	"github.com/latchwork/latchwork/internal/awsapi"
	"github.com/latchwork/latchwork/internal/fault"
	"github.com/latchwork/latchwork/internal/model"
	"github.com/latchwork/latchwork/internal/store"
	wire "github.com/latchwork/latchwork/internal/wire/ec2"
)

// access says what a caller must be allowed to do, by operation.
// Source: Service Authorization Reference, "Actions, resources, and condition keys
// for Amazon EC2".
func (s *Service) access() awsapi.AccessTable {
	return awsapi.AccessTable{
		"CreateVpc": {
			Action:    "ec2:CreateVpc",
			Resources: awsapi.Targets(createdVPC),
		},
		"DescribeVpcs": {Action: "ec2:DescribeVpcs", Resources: awsapi.Everything},
		"DeleteVpc": {
			Action:    "ec2:DeleteVpc",
			Resources: each(s, func(in *wire.DeleteVpcRequest) []string { return []string{*in.VpcId} }),
		},
		"AssociateVpcCidrBlock": {
			Action:    "ec2:AssociateVpcCidrBlock",
			Resources: each(s, func(in *wire.AssociateVpcCidrBlockRequest) []string { return []string{*in.VpcId} }),
		},
		"DisassociateVpcCidrBlock": {Action: "ec2:DisassociateVpcCidrBlock", Resources: awsapi.Targets(s.associatedVPC)},
		"CreateTags": {
			Action:    "ec2:CreateTags",
			Resources: each(s, func(in *wire.CreateTagsRequest) []string { return in.Resources }),
			Keys:      awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.CreateTagsRequest) []awsapi.Key { return requestTags(in.Tags) }),
		},
		"DeleteTags": {
			Action:    "ec2:DeleteTags",
			Resources: each(s, func(in *wire.DeleteTagsRequest) []string { return in.Resources }),
			Keys:      awsapi.ConditionKeys(func(_ *awsapi.Call, in *wire.DeleteTagsRequest) []awsapi.Key { return requestTags(in.Tags) }),
		},
	}
}

// createdVPC is a VPC that does not exist yet. Whoever brings tags needs
// ec2:CreateTags too.
// Source: EC2 User Guide, "Grant permission to tag Amazon EC2 resources during
// creation".
func createdVPC(_ context.Context, c *awsapi.Call, in *wire.CreateVpcRequest) ([]awsapi.Resource, error) {
	var tags []wire.Tag
	for _, spec := range in.TagSpecifications {
		tags = append(tags, spec.Tags...)
	}
	r := awsapi.Resource{ARN: vpcARN(c, "*"), Keys: requestTags(tags)}
	if len(tags) == 0 {
		return []awsapi.Resource{r}, nil
	}
	tag := awsapi.Resource{
		Action: "ec2:CreateTags", ARN: r.ARN,
		Keys: append(requestTags(tags), awsapi.Key{Name: "ec2:CreateAction", Values: []string{"CreateVpc"}}),
	}
	return []awsapi.Resource{r, tag}, nil
}

func vpcARN(c *awsapi.Call, id string) string { return model.VPCARN(c.Account, c.Region, id) }

// each is an operation on VPCs by their ids, with their tags. One that is not there
// has none: the handler says so after the caller was allowed to ask.
func each[In any](s *Service, ids func(*In) []string) func(context.Context, *awsapi.Call) ([]awsapi.Resource, error) {
	return awsapi.Targets(func(ctx context.Context, c *awsapi.Call, in *In) ([]awsapi.Resource, error) {
		var out []awsapi.Resource
		err := s.cfg.View(ctx, func(tx *store.Tx) error {
			for _, id := range ids(in) {
				v, err := s.vpc(tx, s.scope(ctx), id)
				if unknown(err) {
					v, err = &model.VPC{}, nil
				}
				if err != nil {
					return err
				}
				out = append(out, awsapi.Resource{ARN: vpcARN(c, id), Keys: resourceTags(v.Tags)})
			}
			return nil
		})
		return out, err
	})
}

// associatedVPC is the VPC that an address range is associated with; any of the
// account's where there is no such association.
func (s *Service) associatedVPC(ctx context.Context, c *awsapi.Call, in *wire.DisassociateVpcCidrBlockRequest) ([]awsapi.Resource, error) {
	r := awsapi.Resource{ARN: vpcARN(c, "*")}
	err := s.cfg.View(ctx, func(tx *store.Tx) error {
		v, _, err := s.associated(tx, s.scope(ctx), *in.AssociationId)
		if err == nil {
			r = awsapi.Resource{ARN: vpcARN(c, v.ID), Keys: resourceTags(v.Tags)}
		}
		if unknown(err) {
			return nil
		}
		return err
	})
	return []awsapi.Resource{r}, err
}

// unknown tells an answer, such as that there is no such VPC, from a store that
// cannot be read.
func unknown(err error) bool {
	var answered *fault.Error
	return errors.As(err, &answered)
}

func resourceTags(tags map[string]string) []awsapi.Key {
	return append(awsapi.TagKeys("aws:ResourceTag/", tags), awsapi.TagKeys("ec2:ResourceTag/", tags)...)
}

func requestTags(list []wire.Tag) []awsapi.Key {
	tags := map[string]string{}
	for _, t := range list {
		tags[model.Deref(t.Key)] = model.Deref(t.Value)
	}
	return awsapi.RequestTags(tags)
}
