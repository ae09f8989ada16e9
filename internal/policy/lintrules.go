package policy

// Rule is one thing that the linter finds.
type Rule struct {
	Code string
	// Wrong says what is wrong, Fix what to do, both in general.
	Wrong, Fix string
}

// Rules are all that the linter finds, by code.
var Rules = []Rule{
	{"action-never-matches", "an action has white space or a comma in it: it is stored and matches nothing", "one text for each action"},
	{"allow-not-action", "`Allow` with `NotAction` allows all other actions of all services", "`Action`, or a `Deny` of its own"},
	{"allow-not-resource", "`Allow` with `NotResource` allows the actions on all else", "`Resource`, or a `Deny` of its own"},
	{"always-true", "`Null` or `Bool` with both `true` and `false`", "one of them"},
	{"anonymous-allowed", "an `Allow` for everybody includes callers who do not sign", "a condition on `aws:PrincipalType`, or on who the caller is"},
	{"anonymous-has-key", "`*` for a key that anonymous callers have too, with the value `anonymous`", "a condition on `aws:PrincipalType`"},
	{"any-subject", "a trust in an identity provider without a condition on the subject: every token will do", "a condition on `…:sub`"},
	{"anybody-trusted", "a trust policy for everybody: every account of AWS may take the role", "accounts, or a condition on the organization"},
	{"bad-variable", "a variable without a name, with a default value without quotes, or of a key that is a list", "`${key, 'default'}`, and set operators for lists"},
	{"bare-account", "the id of an account alone as `Principal`", "`{\"AWS\": \"…\"}`"},
	{"bare-service-arn", "the ARN of a VPC Lattice service without a path matches no HTTP request", "`/*` behind it"},
	{"date-without-time", "a day, month or year is its first moment in UTC", "the time"},
	{"empty-operator", "a condition operator without a key tests nothing", "keys and values, or no operator"},
	{"empty-values", "a condition with an empty list of values", "values, or no condition"},
	{"excludes-everything", "`NotAction`, `NotResource` or `NotPrincipal` with `*`: the statement is about nothing", "what is excepted, or no statement"},
	{"forallvalues-absent", "`ForAllValues` in an `Allow` holds without the key", "`Null` `false` beside it"},
	{"foranyvalue-absent", "`ForAnyValue` with a negated operator in a `Deny` does not hold without the key", "a second `Deny` for its absence"},
	{"host-bits", "a range of addresses that does not begin where it says", "the first address of the range"},
	{"ifexists-allow", "`…IfExists` in an `Allow` holds without the key", "the operator without `IfExists`"},
	{"impossible-value", "a value that the key never has", "one of its values"},
	{"key-never-present", "a key that requests for the actions do not have", "the key of that service, or another statement"},
	{"list-key", "an operator without a set prefix on a key that is a list: it never matches", "`ForAnyValue:` or `ForAllValues:`"},
	{"mfa-absent", "`Deny` with `Bool` `false` on `aws:MultiFactorAuthPresent`: long-term access keys have no such key", "`BoolIfExists`"},
	{"milliseconds", "a date in milliseconds: numbers are seconds", "seconds"},
	{"miscased-action", "an action in other letter case than AWS's; it matches, and other tools compare the case", "AWS's spelling"},
	{"miscased-arn", "an ARN with capital letters in its service: it matches nothing", "small letters"},
	{"miscased-key", "a key of VPC Lattice in other letter case than AWS's", "AWS's spelling"},
	{"miscased-operator", "a condition operator in other letter case than AWS's", "AWS's spelling"},
	{"miscased-value", "a value in other letter case than the key has, such as `anonymous` for `Anonymous`", "the value, or an operator with `IgnoreCase`"},
	{"multivalued-key", "a query key can come several times", "`ForAnyValue:` or `ForAllValues:`"},
	{"negated-allow", "a negated operator in an `Allow` holds without the key", "`Null` `false` beside it"},
	{"never-true", "two conditions of one statement that cannot hold together", "one list of values, or two statements"},
	{"newline", "line breaks in an auth policy", "the document in one line"},
	{"not-principal", "`NotPrincipal` also denies callers with a permissions boundary, the unsigned, and sessions whose account and role are not named", "`Principal` `*` and a condition on `aws:PrincipalArn`"},
	{"odd-date", "a date that AWS reads and few others do", "all of it, in ISO 8601"},
	{"operand-is-no-arn", "a value of an ARN operator that has not six parts: it matches nothing", "six parts"},
	{"operator-of-another-type", "an operator that does not compare what the key holds", "one that does"},
	{"principal-never-matches", "a principal who does not make such calls", "who does, or the action that it makes"},
	{"query-in-resource", "a query in a resource of an auth policy", "a condition on the query"},
	{"resource-of-another-service", "a resource of a service that none of the actions is about", "a resource of theirs"},
	{"session-arn", "the ARN of a session as `aws:PrincipalArn`, which is that of its role", "the ARN of the role"},
	{"short-arn", "a resource that has not six parts and matches nothing in a policy of this kind", "six parts"},
	{"star-crosses-slash", "`/*/` in a resource: the `*` also stands for text with `/`", "the folders by name, or a `Deny` of what is deeper"},
	{"star-is-text", "`*` in a value of `StringEquals` and its like is a star", "`StringLike` or `ArnLike`"},
	{"star-joins-name", "`bucket*`: other buckets too, and all that is in them", "`bucket` and `bucket/*`"},
	{"too-long", "a document that AWS is not going to store", "several documents"},
	{"unknown-action", "an action that the service does not have", "its name"},
	{"unknown-key", "a condition key that there is not", "its name"},
	{"userid-of-session", "the id of a role as `aws:userid`, which has the name of the session behind it", "`StringLike` and `ID:*`"},
	{"variable-is-text", "a variable in a document without `Version` `2012-10-17` is text", "the version"},
	{"wildcard-service", "a wildcard in the service of an ARN", "the service"},
}
