package awsapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Key is one condition key with its values.
type Key struct {
	Name   string
	Values []string
	// Multi marks a key whose type is a list, also when it holds one value.
	Multi bool
}

// RequestTags are the keys aws:TagKeys and aws:RequestTag/k of the tags that a call
// brings.
func RequestTags(tags map[string]string) []Key {
	if len(tags) == 0 {
		return nil
	}
	return append([]Key{{Name: "aws:TagKeys", Values: slices.Sorted(maps.Keys(tags)), Multi: true}}, TagKeys("aws:RequestTag/", tags)...)
}

// TagKeys makes a key of each tag; family is for example "aws:ResourceTag/". Names
// of condition keys ignore case and keys of tags do not, so that tags which differ
// by case alone are one key with several values.
func TagKeys(family string, tags map[string]string) []Key {
	var keys []Key
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		name := family + k
		if i := slices.IndexFunc(keys, func(have Key) bool { return strings.EqualFold(have.Name, name) }); i >= 0 {
			keys[i].Values = append(keys[i].Values, tags[k])
			continue
		}
		keys = append(keys, Key{Name: name, Values: []string{tags[k]}})
	}
	return keys
}

// Resource is one resource that a call acts on.
type Resource struct {
	// ARN, or "*" for an operation that acts on no resource in particular.
	ARN string
	// Keys belong to this resource only, for example aws:ResourceTag/k.
	Keys []Key
	// Shared says that another account owns the resource and has shared it with the
	// caller's, for this action: what else is needed is the caller's own permission.
	Shared bool
	// Action is what is asked for this resource in place of the row's action, where
	// a call does two things, such as to create and to tag; "" is the row's.
	Action string
}

// Access is an operation's access row: what a caller must be allowed to do.
// AWS's interface models do not say it; the Service Authorization Reference does.
type Access struct {
	// Action is the IAM action, for example "vpc-lattice:CreateService".
	Action string
	// Resources names what the call acts on, at least one; each must be allowed.
	Resources func(context.Context, *Call) ([]Resource, error)
	// Keys gives the condition keys that hold for all resources; may be nil.
	Keys func(context.Context, *Call) ([]Key, error)
	// Exempt says why an operation needs no permission at this point, for
	// example that the handler asks for it itself. Empty means it does need it.
	Exempt string
}

// AccessTable holds access rows by operation name.
type AccessTable map[string]Access

// Everything is the Resources of operations that act on no resource in
// particular: List* and their like.
func Everything(context.Context, *Call) ([]Resource, error) {
	return []Resource{{ARN: "*"}}, nil
}

// Targets makes an Access.Resources of a function that takes the operation's own
// input type.
func Targets[In any](f func(context.Context, *Call, *In) ([]Resource, error)) func(context.Context, *Call) ([]Resource, error) {
	return func(ctx context.Context, c *Call) ([]Resource, error) {
		in, err := inputOf[In](c)
		if err != nil {
			return nil, err
		}
		return f(ctx, c, in)
	}
}

// Target is Targets for an operation that acts on one resource without keys of
// its own.
func Target[In any](f func(*Call, *In) string) func(context.Context, *Call) ([]Resource, error) {
	return Targets(func(_ context.Context, c *Call, in *In) ([]Resource, error) {
		return []Resource{{ARN: f(c, in)}}, nil
	})
}

// ConditionKeys makes an Access.Keys of a function that takes the operation's
// own input type.
func ConditionKeys[In any](f func(*Call, *In) []Key) func(context.Context, *Call) ([]Key, error) {
	return func(_ context.Context, c *Call) ([]Key, error) {
		in, err := inputOf[In](c)
		if err != nil {
			return nil, err
		}
		return f(c, in), nil
	}
}

func inputOf[In any](c *Call) (*In, error) {
	in, ok := c.Input.(*In)
	if !ok {
		return nil, fmt.Errorf("access row of %s takes %T, the operation has %T", c.Operation.Name, in, c.Input)
	}
	return in, nil
}

// resolve fills the call's Action, Resources and Keys from the row.
func (a *Access) resolve(ctx context.Context, c *Call) error {
	c.Action = a.Action
	if a.Keys != nil {
		keys, err := a.Keys(ctx, c)
		if err != nil {
			return err
		}
		c.Keys = keys
	}
	if a.Resources == nil {
		return fmt.Errorf("the access row of %s names no resources", c.Operation.Name)
	}
	resources, err := a.Resources(ctx, c)
	if err != nil {
		return err
	}
	if len(resources) == 0 {
		return fmt.Errorf("the access row of %s found no resource", c.Operation.Name)
	}
	for _, r := range resources {
		if r.ARN == "" {
			return fmt.Errorf("the access row of %s found a resource without ARN", c.Operation.Name)
		}
	}
	c.Resources = resources
	return nil
}
