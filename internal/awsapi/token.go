package awsapi

// Token is a caller's idempotency token together with what it stands for.
type Token struct {
	// Key is unique to account, region, service, operation and token.
	Key string
	// Hash is that of all other parameters of the call.
	Hash string
}
