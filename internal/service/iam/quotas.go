package iam

// Quotas are the limits that AWS lets an account's owner raise, and those that
// follow them. Zero means AWS's default.
// Source: IAM User Guide, "IAM and AWS STS quotas".
//
// The first six count the entities of an account; they may be Unlimited.
type Quotas struct {
	Users            int
	Groups           int
	Roles            int
	Policies         int
	InstanceProfiles int
	OIDCProviders    int

	AttachedPerUser   int
	AttachedPerGroup  int
	AttachedPerRole   int
	GroupsPerUser     int
	KeysPerUser       int
	VersionsPerPolicy int

	// Sizes count the characters that are not white space.
	PolicySize      int
	UserPolicySize  int
	GroupPolicySize int
	RolePolicySize  int
	TrustPolicySize int
}

// Unlimited is the quota of what may be there in any number.
const Unlimited = -1

var defaultQuotas = Quotas{
	Users: 5000, Groups: 300, Roles: 1000, Policies: 1500, InstanceProfiles: 1000, OIDCProviders: 100,
	AttachedPerUser: 10, AttachedPerGroup: 10, AttachedPerRole: 10,
	GroupsPerUser: 10, KeysPerUser: 2, VersionsPerPolicy: 5,
	PolicySize: 6144, UserPolicySize: 2048, GroupPolicySize: 5120, RolePolicySize: 10240, TrustPolicySize: 2048,
}

// maxTags is the most tags of one entity; it cannot be raised.
const maxTags = 50

func (q Quotas) withDefaults() Quotas {
	for _, v := range []struct {
		have *int
		want int
	}{
		{&q.Users, defaultQuotas.Users},
		{&q.Groups, defaultQuotas.Groups},
		{&q.Roles, defaultQuotas.Roles},
		{&q.Policies, defaultQuotas.Policies},
		{&q.InstanceProfiles, defaultQuotas.InstanceProfiles},
		{&q.OIDCProviders, defaultQuotas.OIDCProviders},
		{&q.AttachedPerUser, defaultQuotas.AttachedPerUser},
		{&q.AttachedPerGroup, defaultQuotas.AttachedPerGroup},
		{&q.AttachedPerRole, defaultQuotas.AttachedPerRole},
		{&q.GroupsPerUser, defaultQuotas.GroupsPerUser},
		{&q.KeysPerUser, defaultQuotas.KeysPerUser},
		{&q.VersionsPerPolicy, defaultQuotas.VersionsPerPolicy},
		{&q.PolicySize, defaultQuotas.PolicySize},
		{&q.UserPolicySize, defaultQuotas.UserPolicySize},
		{&q.GroupPolicySize, defaultQuotas.GroupPolicySize},
		{&q.RolePolicySize, defaultQuotas.RolePolicySize},
		{&q.TrustPolicySize, defaultQuotas.TrustPolicySize},
	} {
		if *v.have == 0 {
			*v.have = v.want
		}
	}
	return q
}
