// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/base64"
	"fmt"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// maxMessage is the longest message that is signed, in bytes; a longer one is signed by its digest.
const maxMessage = 4096

// signRequest is SignDataDetails, and all of VerifyDataDetails but the signature.
type signRequest struct {
	material
	message   []byte
	given     bool
	algorithm signing
	isDigest  bool
}

func (q *signRequest) field(r *reader, name []byte) bool {
	switch string(name) {
	case "message":
		q.message, q.given = r.base64()
	case "signingAlgorithm":
		q.algorithm, _ = choice(r, signingAlgorithms)
	case "messageType":
		q.isDigest, _ = choice(r, messageTypes)
	default:
		return q.material.field(r, name)
	}
	return true
}

func (q *signRequest) decode(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	return q.check(in)
}

func (q *signRequest) check(in *input) error {
	switch {
	case !q.given:
		return keys.Missing("message")
	case q.algorithm.algorithm == "":
		return keys.Missing("signingAlgorithm")
	case q.isDigest && len(q.message) != q.algorithm.hash.Size():
		return keys.Invalid("message", fmt.Sprintf("message has %d bytes, and a digest for this signingAlgorithm has %d", len(q.message), q.algorithm.hash.Size()))
	case len(q.message) > maxMessage:
		return &keys.Error{Kind: keys.KindTooLarge, Field: "message", Hint: "message has more than 4096 bytes: sign its digest, with messageType DIGEST"}
	}
	return q.resolve(in)
}

func (q *signRequest) request() kms.SignRequest {
	req := kms.SignRequest{Key: q.key, Version: q.version, Algorithm: q.algorithm.algorithm}
	if q.isDigest {
		req.Digest = q.message
	} else {
		req.Message = q.message
	}
	return req
}

func (q *signRequest) algorithmName() string { return nameOf(signingAlgorithms, q.algorithm) }

// signedData is SignedData.
type signedData struct {
	signature               []byte
	key, version, algorithm string
}

func (a signedData) payload() int { return len(a.signature) }

func (a signedData) appendJSON(b []byte) []byte {
	b = append(b, `{"keyId":"`...)
	b = append(append(b, a.key...), '"')
	b = appendMember(b, "keyVersionId", a.version)
	b = append(b, `,"signature":"`...)
	b = append(base64.StdEncoding.AppendEncode(b, a.signature), '"')
	b = appendMember(b, "signingAlgorithm", a.algorithm)
	return append(b, '}')
}

func (d *Dialect) sign(ctx context.Context, c *kms.Call, q *signRequest) (data, error) {
	res, err := d.kms.Sign(ctx, c, q.request())
	if err != nil {
		return data{}, err
	}
	return data{signedData{
		key: d.keyName(&q.material, res.Key), version: d.namer.VersionName(res.Version),
		signature: res.Signature, algorithm: q.algorithmName(),
	}}, nil
}

// verifyRequest is VerifyDataDetails.
type verifyRequest struct {
	signRequest
	signature      []byte
	signatureGiven bool
}

func (q *verifyRequest) field(r *reader, name []byte) bool {
	switch string(name) {
	case "signature":
		q.signature, q.signatureGiven = r.base64()
	case "loggingContext":
		return false // Sign has one, Verify has none
	default:
		return q.signRequest.field(r, name)
	}
	return true
}

func (q *verifyRequest) decode(in *input) error {
	if err := in.body(q); err != nil {
		return err
	}
	if !q.signatureGiven {
		return keys.Missing("signature")
	}
	if q.versionID == "" {
		return keys.Missing("keyVersionId")
	}
	return q.check(in)
}

// verifiedData is VerifiedData.
type verifiedData bool

func (verifiedData) payload() int { return 0 }

func (a verifiedData) appendJSON(b []byte) []byte {
	if a {
		return append(b, `{"isSignatureValid":true}`...)
	}
	return append(b, `{"isSignatureValid":false}`...)
}

func (d *Dialect) verify(ctx context.Context, c *kms.Call, q *verifyRequest) (data, error) {
	res, err := d.kms.Verify(ctx, c, kms.VerifyRequest{SignRequest: q.request(), Signature: q.signature})
	if err != nil {
		return data{}, err
	}
	return data{verifiedData(res.Valid)}, nil
}
