package xds

import (
	"strconv"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// frame is a response that is encoded already. All proxies of a mesh endpoint are
// sent the same bytes; the nonce, which is a stream's own, comes after them. It is
// the same number of the same field in both protocols.
type frame struct {
	shared []byte
	nonce  uint64
}

func nonceText(nonce uint64) string { return strconv.FormatUint(nonce, 10) }

// codec sends frames as they are, without a copy, and everything else as gRPC does.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	tail := protowire.AppendTag(make([]byte, 0, 24), responseNonce, protowire.BytesType)
	tail = protowire.AppendString(tail, nonceText(f.nonce))
	return mem.BufferSlice{mem.SliceBuffer(f.shared), mem.SliceBuffer(tail)}, nil
}
