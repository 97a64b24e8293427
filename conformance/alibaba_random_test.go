// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	openapiutil "github.com/alibabacloud-go/openapi-util/service"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/kms"

	"claviger/conformance/internal/alibaba"
	"claviger/conformance/internal/live"
	"claviger/conformance/internal/sign"
)

// signedCall is a signed request before it is written: everything decoded, so that a character of
// it can be changed and the change is one that the server sees.
type signedCall struct {
	method      string
	query, form map[string]string
	header      map[string]string // ACS3, "host" included
}

func (s *signedCall) clone() *signedCall {
	return &signedCall{s.method, maps.Clone(s.query), maps.Clone(s.form), maps.Clone(s.header)}
}

// request writes the call in the way of the SDKs.
func (s *signedCall) request(t *testing.T, endpoint string) *http.Request {
	t.Helper()
	encode := func(m map[string]string) string {
		values := url.Values{}
		for name, value := range m {
			values.Set(name, value)
		}
		return values.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), s.method, endpoint+"/?"+encode(s.query), strings.NewReader(encode(s.form)))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.form) > 0 {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range s.header {
		if name == "host" {
			req.Host = value
		} else {
			req.Header.Set(name, value)
		}
	}
	return req
}

// signer makes a call of DescribeRegions with params beside the common ones, by an SDK's own code.
type signer func(r *rand.Rand, key sign.AccessKey, host string, query, form map[string]string) *signedCall

func pointers(m map[string]string) map[string]*string {
	out := make(map[string]*string, len(m))
	for name, value := range m {
		out[name] = tea.String(value)
	}
	return out
}

const isoSeconds = "2006-01-02T15:04:05Z"

// byACS3 signs as the current SDK does by default.
func byACS3(r *rand.Rand, key sign.AccessKey, host string, query, form map[string]string) *signedCall {
	values := url.Values{}
	for name, value := range form {
		values.Set(name, value)
	}
	sum := sha256.Sum256([]byte(values.Encode()))
	hash := hex.EncodeToString(sum[:])
	s := &signedCall{method: http.MethodPost, query: query, form: form, header: map[string]string{
		"host": host, "x-acs-action": "DescribeRegions", "x-acs-version": sign.Version, "x-acs-date": time.Now().UTC().Format(isoSeconds),
		"x-acs-signature-nonce": randomNonce(r), "x-acs-content-sha256": hash, "x-acs-credentials-provider": "static_ak",
	}}
	if len(form) > 0 {
		s.header["content-type"] = "application/x-www-form-urlencoded"
	}
	request := tea.NewRequest()
	request.Method, request.Pathname = tea.String(s.method), tea.String("/")
	request.Query, request.Headers = pointers(query), pointers(s.header)
	s.header["Authorization"] = tea.StringValue(openapiutil.GetAuthorization(request, tea.String("ACS3-HMAC-SHA256"),
		tea.String(hash), tea.String(key.ID), tea.String(key.Secret)))
	return s
}

// byV1 signs as the current SDK does when it is told to use RPC signatures of version 1.
func byV1(r *rand.Rand, key sign.AccessKey, _ string, query, form map[string]string) *signedCall {
	maps.Copy(query, map[string]string{
		"Action": "DescribeRegions", "Version": sign.Version, "Format": "json", "AccessKeyId": key.ID, "SignatureMethod": "HMAC-SHA1",
		"SignatureVersion": "1.0", "SignatureNonce": randomNonce(r), "Timestamp": time.Now().UTC().Format(isoSeconds),
	})
	s := &signedCall{method: http.MethodPost, query: query, form: form}
	if len(form) == 0 && r.IntN(2) == 0 {
		s.method = http.MethodGet
	}
	all := pointers(query)
	maps.Copy(all, pointers(form))
	query["Signature"] = tea.StringValue(openapiutil.GetRPCSignature(all, tea.String(s.method), tea.String(key.Secret)))
	return s
}

// byClassic signs as the classic SDK does.
func byClassic(_ *rand.Rand, key sign.AccessKey, _ string, query, form map[string]string) *signedCall {
	request := kms.CreateDescribeRegionsRequest()
	maps.Copy(request.QueryParams, query)
	maps.Copy(request.FormParams, form)
	err := auth.Sign(request, nil, "cn-hangzhou", credentials.NewStaticAKCredentialsProvider(key.ID, key.Secret))
	if err != nil {
		panic(err) // a credential that stands in the program always signs
	}
	return &signedCall{method: request.GetMethod(), query: request.GetQueryParams(), form: request.GetFormParams()}
}

func randomNonce(r *rand.Rand) string { return fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()) }

// What random values are made of: what encoders disagree on, and what they should not.
var (
	valueRunes = []rune("abcXYZ019-_.~ +/=*&%?#'()!@:;,\"\\<>{}[]|^`$\n\t\r\u00e9\u5bc6\u94a5\U0001f511\u0000\u007f")
	// nameRunes leaves out what the current SDK's ACS3 signer does not tell apart: it does not
	// encode names.
	nameRunes = []rune("abcXYZ019-_.~/*'()!@:;,\u00e9\u5bc6")
)

func randomText(r *rand.Rand, runes []rune, most int) string {
	out := make([]rune, r.IntN(most+1))
	for i := range out {
		out[i] = runes[r.IntN(len(runes))]
	}
	return string(out)
}

// randomParams are parameters that no operation knows, divided between a query and a form. Names
// begin so that they are nobody's, whatever is changed in them later.
func randomParams(r *rand.Rand) (query, form map[string]string) {
	query, form = map[string]string{}, map[string]string{}
	inForm := r.IntN(2) == 0
	for range r.IntN(8) {
		name := "zz" + randomText(r, nameRunes, 12)
		value := randomText(r, valueRunes, 40)
		if _, twice := query[name]; inForm && !twice && r.IntN(2) == 0 {
			form[name] = value
		} else if _, twice := form[name]; !twice {
			query[name] = value
		}
	}
	return query, form
}

// flip replaces one character of s by another one of its kind.
func flip(r *rand.Rand, s string, alphabet string) string {
	runes := []rune(s)
	at := r.IntN(len(runes))
	for {
		if c := rune(alphabet[r.IntN(len(alphabet))]); c != runes[at] {
			runes[at] = c
			return string(runes)
		}
	}
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// spoil changes one character of what is signed, or of the signature, and says where.
func (s *signedCall) spoil(r *rand.Rand) (*signedCall, string) {
	out := s.clone()
	if s.header != nil && r.IntN(2) == 0 {
		name := slices.Sorted(maps.Keys(s.header))[r.IntN(len(s.header))]
		if head, signature, ok := strings.Cut(s.header[name], ",Signature="); ok {
			out.header[name] = head + ",Signature=" + flip(r, signature, "0123456789abcdefABCDEF")
			return out, "signature"
		}
		out.header[name] = flip(r, s.header[name], letters)
		return out, "header " + name
	}
	of, part := out.query, "query"
	if len(of) == 0 || (len(out.form) > 0 && r.IntN(2) == 0) {
		of, part = out.form, "form"
	}
	if len(of) == 0 { // an ACS3 call without parameters
		out.query["zz"] = ""
		return out, "another parameter"
	}
	name := slices.Sorted(maps.Keys(of))[r.IntN(len(of))]
	value := of[name]
	if value != "" && r.IntN(2) == 0 {
		alphabet := letters
		if name == "Signature" {
			alphabet += "+/"
		}
		of[name] = flip(r, value, alphabet)
		return out, part + ", value of " + name
	}
	delete(of, name)
	for {
		other := flip(r, name, letters)
		_, inQuery := out.query[other]
		_, inForm := out.form[other]
		if !inQuery && !inForm {
			of[other] = value
			return out, part + ", name " + name + " as " + other
		}
	}
}

// Ten thousand random sets of parameters, signed by each SDK's own code, are accepted; each with
// one character changed is refused.
func TestAlibabaRandomSignatures(t *testing.T) {
	t.Parallel()
	server := start(t, live.Options{})
	sets := 10_000
	if testing.Short() {
		sets = 400
	}
	access := server.Ready.Alibaba
	key := sign.AccessKey{ID: access.AccessKeyID, Secret: access.AccessKeySecret}
	host := strings.TrimPrefix(access.Endpoint, "http://")
	signers := map[alibaba.Generation]signer{alibaba.ACS3: byACS3, alibaba.V1: byV1, alibaba.Classic: byClassic}
	for _, g := range alibaba.Generations() {
		by := signers[g]
		const workers = 4
		var wg sync.WaitGroup
		for worker := range workers {
			wg.Go(func() {
				client := &http.Transport{} // one connection, kept
				defer client.CloseIdleConnections()
				r := rand.New(rand.NewPCG(uint64(worker), uint64(len(g))))
				for i := worker; i < sets && !t.Failed(); i += workers {
					query, form := randomParams(r)
					call := by(r, key, host, query, form)
					if status := statusOf(t, client, call.request(t, access.Endpoint)); status != http.StatusOK {
						t.Errorf("%s: set %d is refused with %d: %+q", g, i, status, call)
					}
					spoilt, where := call.spoil(r)
					if status := statusOf(t, client, spoilt.request(t, access.Endpoint)); status < 400 || status >= 500 {
						t.Errorf("%s: set %d with another character in the %s is answered with %d: %+q", g, i, where, status, spoilt)
					}
				}
			})
		}
		wg.Wait()
	}
}

func statusOf(t *testing.T, client http.RoundTripper, req *http.Request) int {
	t.Helper()
	resp, err := client.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	return resp.StatusCode
}
