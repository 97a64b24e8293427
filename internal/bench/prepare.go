// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Share is one part of a mix.
type Share struct {
	Operation string
	Weight    int
}

// Workload is what is asked of a target.
type Workload struct {
	Mix         []Share
	Size        int // of plaintexts, in bytes
	Connections int
	Pool        int // OCI: how many requests are signed ahead
}

// Surroundings are what a benchmark takes from where it runs.
type Surroundings struct {
	Now      func() time.Time
	Random   io.Reader
	Progress func(Progress) // may be nil
}

// Progress tells how far something is.
type Progress struct {
	Phase       string // "prepare", "sign", "warm up", "measure"
	Done, Total float64
	Requests    uint64 // answered since the run began
	Errors      uint64
}

// Plan is a workload made ready for a target: keys are there, inputs are made, requests are signed.
type Plan struct {
	target    *Target
	load      Workload
	around    Surroundings
	addresses [endpoints]address
	works     []*work
	order     []int // indexes of works in the order in which they are asked for, again and again
	created   []created
}

type created struct {
	kind Kind
	Key
}

// work is one operation of a plan.
type work struct {
	Operation
	weight  int
	key     Key
	samples []*sample
	pool    []signed // OCI
	forms   []form   // Alibaba, one for each sample
	at      int      // endpoint
}

// samplesOf is how many sets of inputs an operation has. With the seconds that requests are spread
// over, every request of a pool differs from the others.
const (
	samplesOf = 256
	keptOf    = 128 // of inputs that the server has to make: ciphertexts and signatures
	spread    = 200
)

// Prepare makes a plan. What it has created by then is in the plan also when it fails, for Close.
func Prepare(ctx context.Context, t *Target, load Workload, around Surroundings) (*Plan, error) {
	p := &Plan{target: t, load: load, around: around}
	if err := t.check(); err != nil {
		return p, err
	}
	if load.Connections < 1 || load.Size < 1 {
		return p, errors.New("connections and size must be at least 1")
	}
	var err error
	if p.addresses, err = t.addresses(); err != nil {
		return p, err
	}
	keys := map[Kind]Key{}
	for _, share := range load.Mix {
		op, ok := Find(share.Operation)
		if !ok {
			return p, fmt.Errorf("there is no operation %q", share.Operation)
		}
		if op.ociOnly && !t.oci() {
			return p, fmt.Errorf("%s is there with OCI only", op.Name)
		}
		w := &work{Operation: op, weight: share.Weight}
		if _, ok := keys[op.Kind]; !ok {
			if keys[op.Kind], err = p.findKey(ctx, op.Kind); err != nil {
				return p, err
			}
		}
		w.key = keys[op.Kind]
		if err := p.makeSamples(ctx, w); err != nil {
			return p, fmt.Errorf("prepare %s: %w", op.Name, err)
		}
		p.works = append(p.works, w)
	}
	p.order = order(p.works)
	return p, p.sign(ctx)
}

// order spreads each operation evenly over a sequence in which it comes as often as its weight says.
func order(works []*work) []int {
	total := 0
	for _, w := range works {
		total += w.weight
	}
	credit := make([]int, len(works))
	out := make([]int, total)
	for i := range out {
		best := 0
		for j, w := range works {
			if credit[j] += w.weight; credit[j] > credit[best] {
				best = j
			}
		}
		credit[best] -= total
		out[i] = best
	}
	return out
}

func (p *Plan) findKey(ctx context.Context, kind Kind) (Key, error) {
	if k, ok := p.target.Keys[kind]; ok {
		return p.completeKey(ctx, kind, k)
	}
	k, err := p.createKey(ctx, kind)
	if err != nil {
		return k, fmt.Errorf("create a key for %s: %w", kind, err)
	}
	p.created = append(p.created, created{kind, k})
	return p.completeKey(ctx, kind, k)
}

// Refusal is an answer that is no success.
type Refusal struct {
	Status        int
	Code, Message string
}

func (r *Refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("status %d: %s %s", r.Status, r.Code, r.Message))
}

// refusal reads what both clouds say in a refusal.
func refusal(a answer) *Refusal {
	var body struct{ Code, Message string } // names of both clouds: case does not count
	_ = json.Unmarshal(a.body, &body)       // what is not JSON has no code
	return &Refusal{Status: a.status, Code: body.Code, Message: body.Message}
}

// ask sends one message and reads its answer.
func (p *Plan) ask(ctx context.Context, m message) (content, error) {
	if err := ctx.Err(); err != nil {
		return content{}, err
	}
	to := p.addresses[m.at]
	bytes, err := p.write(m, to.host)
	if err != nil {
		return content{}, err
	}
	c, err := to.connect()
	if err != nil {
		return content{}, fmt.Errorf("connect: %w", err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	a, err := c.do(bytes)
	if err != nil {
		return content{}, errors.Join(ctx.Err(), err)
	}
	if a.status/100 != 2 {
		return content{}, refusal(a)
	}
	return readContent(p.target.Dialect, a.body)
}

// write signs one message.
func (p *Plan) write(m message, host string) ([]byte, error) {
	now := p.around.Now()
	if p.target.oci() {
		return p.target.APIKey.sign(nil, m.method, m.path, host, m.body, now)
	}
	prefix, err := p.noncePrefix()
	if err != nil {
		return nil, err
	}
	s := newSigner(p.target.Dialect, p.target.AccessKey, prefix)
	nonce, stamp := s.fresh(now)
	return p.form(m, host).append(nil, s, nonce, stamp), nil
}

func (p *Plan) form(m message, host string) form {
	if p.target.Dialect == V1 {
		return newFormV1(host, p.target.AccessKey, m.action, m.params)
	}
	return newFormACS3(host, p.target.AccessKey, m.action, m.params)
}

func (p *Plan) noncePrefix() (string, error) {
	var b [12]byte
	if _, err := io.ReadFull(p.around.Random, b[:]); err != nil {
		return "", fmt.Errorf("make a nonce: %w", err)
	}
	return hex.EncodeToString(b[:]) + "-", nil
}

func (p *Plan) message(op string, k Key, s *sample) message {
	if p.target.oci() {
		return p.target.ociMessage(op, k, s)
	}
	return alibabaMessage(op, k, s)
}

// makeSamples makes an operation's inputs: random ones, and what the server must make of them first.
func (p *Plan) makeSamples(ctx context.Context, w *work) error {
	n := samplesOf
	if w.needs != needNothing {
		n = keptOf
	}
	for i := range n {
		s := &sample{number: i, plaintext: make([]byte, p.load.Size)}
		if _, err := io.ReadFull(p.around.Random, s.plaintext); err != nil {
			return fmt.Errorf("make a plaintext: %w", err)
		}
		s.digest = sha256.Sum256(s.plaintext)
		var err error
		var c content
		switch w.needs {
		case needCiphertext:
			c, err = p.ask(ctx, p.message("encrypt", w.key, s))
			s.ciphertext = c.ciphertext
		case needSignature:
			c, err = p.ask(ctx, p.message("sign"+strings.TrimPrefix(w.Name, "verify"), w.key, s))
			s.signature = c.signature
		case needNothing:
		}
		if err != nil {
			return err
		}
		w.samples = append(w.samples, s)
	}
	return nil
}

func (p *Plan) createKey(ctx context.Context, kind Kind) (Key, error) {
	if p.target.oci() {
		shape := `"AES","length":32`
		switch {
		case kind.rsa():
			shape = `"RSA","length":256`
		case kind == EC:
			shape = `"ECDSA","length":32,"curveId":"NIST_P256"`
		}
		c, err := p.ask(ctx, message{at: management, method: http.MethodPost, path: ociBase + "keys", body: fmt.Appendf(nil,
			`{"compartmentId":%q,"displayName":%q,"keyShape":{"algorithm":%s},"protectionMode":"SOFTWARE"}`, p.target.Compartment, keyName(kind), shape)})
		return Key{ID: c.id, Version: c.version}, err
	}
	params := map[string]string{"Description": keyName(kind), "KeySpec": "Aliyun_AES_256", "KeyUsage": "ENCRYPT/DECRYPT", "ProtectionLevel": "SOFTWARE"}
	switch {
	case kind.rsa():
		params["KeySpec"], params["KeyUsage"] = "RSA_2048", "SIGN/VERIFY"
	case kind == EC:
		params["KeySpec"], params["KeyUsage"] = "EC_P256", "SIGN/VERIFY"
	}
	c, err := p.ask(ctx, message{action: "CreateKey", params: params})
	return Key{ID: c.id, Version: c.version}, err
}

func keyName(kind Kind) string { return "claviger-bench-" + string(kind) }

// completeKey asks for what is not known of a key.
func (p *Plan) completeKey(ctx context.Context, kind Kind, k Key) (Key, error) {
	if k.Version == "" {
		op := "describe-key"
		if !p.target.oci() && !kind.symmetric() {
			op = "list-versions" // asymmetric keys of Alibaba have no primary version
		}
		c, err := p.ask(ctx, p.message(op, k, nil))
		if err != nil {
			return k, fmt.Errorf("read key %s: %w", k.ID, err)
		}
		k.Version = c.version
	}
	if k.Public != "" || kind.symmetric() {
		return k, nil
	}
	m := p.message("describe-version", k, nil)
	if !p.target.oci() {
		m = message{action: "GetPublicKey", params: map[string]string{"KeyId": k.ID, "KeyVersionId": k.Version}}
	}
	c, err := p.ask(ctx, m)
	if err != nil {
		return k, fmt.Errorf("read the public key of %s: %w", k.ID, err)
	}
	k.Public = c.public
	return k, nil
}

// Created lists the ids of the keys that were created.
func (p *Plan) Created() []string {
	out := make([]string, len(p.created))
	for i, k := range p.created {
		out[i] = k.ID
	}
	return out
}

// deletionDays is the shortest waiting time that Alibaba's API takes.
const deletionDays = 7

// Close schedules the deletion of the keys that were created: after the shortest time in Alibaba's
// API, after the API's default in OCI's, whose dates go by the server's clock and not by this one.
// It returns what it could not do.
func (p *Plan) Close(ctx context.Context) error {
	var failed error
	for _, k := range p.created {
		m := message{action: "ScheduleKeyDeletion", params: map[string]string{"KeyId": k.ID, "PendingWindowInDays": fmt.Sprint(deletionDays)}}
		if p.target.oci() {
			m = message{at: management, method: http.MethodPost, path: ociBase + "keys/" + k.ID + "/actions/scheduleDeletion"}
		}
		if _, err := p.ask(ctx, m); err != nil {
			failed = errors.Join(failed, fmt.Errorf("schedule the deletion of key %s: %w", k.ID, err))
		}
	}
	p.created = nil
	return failed
}

// Keys are those that the plan uses.
func (p *Plan) Keys() map[Kind]Key {
	out := map[Kind]Key{}
	for _, w := range p.works {
		out[w.Kind] = w.key
	}
	return out
}

// Against is the plan with its requests as they are, but sent to another server that knows the same
// caller and keys. The two share what was signed, and do not run at the same time.
func (p *Plan) Against(other *Target) (*Plan, error) {
	q := *p
	q.target, q.created = other, nil
	to, err := other.addresses()
	if err != nil {
		return nil, err
	}
	for i := range to {
		to[i].host = p.addresses[i].host
	}
	q.addresses = to
	return &q, nil
}
