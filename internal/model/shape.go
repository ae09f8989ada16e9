package model

// Deref is the value of a member of one of AWS's shapes that may be absent.
func Deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// Present is the opposite of Deref: an empty text is an absent member.
func Present(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
