// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"time"

	"claviger/internal/keys"
)

// A document is one record without its material, as JSON: exactly one member is set. What a
// record says of its place (tenant, region, vault, key) is said once, by the record that it follows.
type document struct {
	Tenant      *tenantDoc      `json:"tenant,omitempty"`
	Compartment *compartmentDoc `json:"compartment,omitempty"`
	Vault       *vaultDoc       `json:"vault,omitempty"`
	Key         *keyDoc         `json:"key,omitempty"`
	Alias       *aliasDoc       `json:"alias,omitempty"`
	External    *externalDoc    `json:"external,omitempty"`
	Version     *versionDoc     `json:"version,omitempty"`
	End         *Counts         `json:"end,omitempty"`
}

type tenantDoc struct {
	ID        keys.ID    `json:"id"`
	Name      string     `json:"name"`
	Names     keys.Names `json:"names,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
}

type compartmentDoc struct {
	ID        keys.ID    `json:"id"`
	Parent    keys.ID    `json:"parent,omitzero"`
	Name      string     `json:"name"`
	Names     keys.Names `json:"names,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
}

type tagsDoc struct {
	Plain      map[string]string            `json:"plain,omitempty"`
	Namespaced map[string]map[string]string `json:"namespaced,omitempty"`
}

type vaultDoc struct {
	ID          keys.ID        `json:"id"`
	Compartment keys.ID        `json:"compartment"`
	Region      keys.Region    `json:"region"`
	Name        string         `json:"name"`
	Kind        keys.VaultKind `json:"kind"`
	Default     bool           `json:"default,omitempty"`
	Endpoint    string         `json:"endpoint,omitempty"`
	State       keys.State     `json:"state"`
	DeleteAt    time.Time      `json:"deleteAt,omitzero"`
	Tags        tagsDoc        `json:"tags"`
	CreatedAt   time.Time      `json:"createdAt"`
}

type rotationDoc struct {
	Interval int64     `json:"interval,omitempty"` // microseconds
	Start    time.Time `json:"start,omitzero"`
	Next     time.Time `json:"next,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	Status   string    `json:"status,omitempty"`
	Message  string    `json:"message,omitempty"`
}

type keyDoc struct {
	ID                 keys.ID         `json:"id"`
	Vault              keys.ID         `json:"vault"`
	Compartment        keys.ID         `json:"compartment"`
	Name               string          `json:"name,omitempty"`
	Description        string          `json:"description,omitempty"`
	Spec               keys.Spec       `json:"spec"`
	Usages             []string        `json:"usages"`
	Origin             keys.Origin     `json:"origin"`
	Protection         keys.Protection `json:"protection"`
	State              keys.State      `json:"state"`
	Before             keys.State      `json:"before,omitempty"`
	DeleteAt           time.Time       `json:"deleteAt,omitzero"`
	Primary            keys.ID         `json:"primary,omitzero"`
	Versions           int             `json:"versions"`
	LastVersionAt      time.Time       `json:"lastVersionAt,omitzero"`
	Rotation           rotationDoc     `json:"rotation"`
	DeletionProtected  bool            `json:"deletionProtected,omitempty"`
	DeletionProtection string          `json:"deletionProtection,omitempty"`
	MaterialExpiresAt  time.Time       `json:"materialExpiresAt,omitzero"`
	Hidden             bool            `json:"hidden,omitempty"`
	Tags               tagsDoc         `json:"tags"`
	Creator            keys.ID         `json:"creator,omitzero"`
	CreatedAt          time.Time       `json:"createdAt"`
}

type aliasDoc struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
}

type externalDoc struct {
	Dialect string    `json:"dialect"`
	Type    keys.Type `json:"type"`
	Name    string    `json:"name"`
}

type versionDoc struct {
	ID          keys.ID     `json:"id"`
	Ordinal     int         `json:"ordinal"`
	State       keys.State  `json:"state"`
	DeleteAt    time.Time   `json:"deleteAt,omitzero"`
	Origin      keys.Origin `json:"origin"`
	AutoRotated bool        `json:"autoRotated,omitempty"`
	PublicKey   []byte      `json:"publicKey,omitempty"`
	CreatedAt   time.Time   `json:"createdAt"`
}

// usageNames are the members of a set of usages as an archive names them.
func usageNames() []struct {
	usage keys.Usage
	name  string
} {
	return []struct {
		usage keys.Usage
		name  string
	}{{keys.UsageEncrypt, "encrypt"}, {keys.UsageSign, "sign"}, {keys.UsageMAC, "mac"}}
}

func usagesToDoc(u keys.Usage) []string {
	out := []string{}
	for _, n := range usageNames() {
		if u.Has(n.usage) {
			out = append(out, n.name)
		}
	}
	return out
}

// usagesOfDoc answers 0, which no key has, where a name is unknown or out of order.
func usagesOfDoc(names []string) keys.Usage {
	var out keys.Usage
	for _, n := range usageNames() {
		if len(names) > 0 && names[0] == n.name {
			out |= n.usage
			names = names[1:]
		}
	}
	if len(names) > 0 {
		return 0
	}
	return out
}

func tenantToDoc(t *keys.Tenant) *tenantDoc { return &tenantDoc{t.ID, t.Name, t.Names, t.CreatedAt} }

func (d *tenantDoc) tenant() *keys.Tenant {
	return &keys.Tenant{ID: d.ID, Name: d.Name, Names: d.Names, CreatedAt: d.CreatedAt}
}

func compartmentToDoc(c *keys.Compartment) *compartmentDoc {
	return &compartmentDoc{c.ID, c.Parent, c.Name, c.Names, c.CreatedAt}
}

func (d *compartmentDoc) compartment() *keys.Compartment {
	return &keys.Compartment{ID: d.ID, Parent: d.Parent, Name: d.Name, Names: d.Names, CreatedAt: d.CreatedAt}
}

func vaultToDoc(v *keys.Vault) *vaultDoc {
	return &vaultDoc{
		v.ID, v.Compartment, v.Region, v.Name, v.Kind, v.Default, v.Endpoint, v.State, v.DeleteAt, tagsDoc(v.Tags), v.CreatedAt,
	}
}

func (d *vaultDoc) vault() *keys.Vault {
	return &keys.Vault{
		ID: d.ID, Compartment: d.Compartment, Region: d.Region, Name: d.Name, Kind: d.Kind, Default: d.Default,
		Endpoint: d.Endpoint, State: d.State, DeleteAt: d.DeleteAt, Tags: keys.Tags(d.Tags), CreatedAt: d.CreatedAt,
	}
}

func keyToDoc(k *keys.Key) *keyDoc {
	r := &k.Rotation
	return &keyDoc{
		ID: k.ID, Vault: k.Vault, Compartment: k.Compartment, Name: k.Name, Description: k.Description,
		Spec: k.Spec, Usages: usagesToDoc(k.Usages), Origin: k.Origin, Protection: k.Protection,
		State: k.State, Before: k.Before, DeleteAt: k.DeleteAt,
		Primary: k.Primary, Versions: k.Versions, LastVersionAt: k.LastVersionAt,
		Rotation:          rotationDoc{r.Interval.Microseconds(), r.Start, r.Next, r.Last, r.Status, r.Message},
		DeletionProtected: k.DeletionProtected, DeletionProtection: k.DeletionProtection,
		MaterialExpiresAt: k.MaterialExpiresAt, Hidden: k.Hidden,
		Tags: tagsDoc(k.Tags), Creator: k.Creator, CreatedAt: k.CreatedAt,
	}
}

func (d *keyDoc) key() *keys.Key {
	r := &d.Rotation
	return &keys.Key{
		ID: d.ID, Vault: d.Vault, Compartment: d.Compartment, Name: d.Name, Description: d.Description,
		Spec: d.Spec, Usages: usagesOfDoc(d.Usages), Origin: d.Origin, Protection: d.Protection,
		State: d.State, Before: d.Before, DeleteAt: d.DeleteAt,
		Primary: d.Primary, Versions: d.Versions, LastVersionAt: d.LastVersionAt,
		Rotation: keys.Rotation{
			Interval: time.Duration(r.Interval) * time.Microsecond, Start: r.Start, Next: r.Next, Last: r.Last,
			Status: r.Status, Message: r.Message,
		},
		DeletionProtected: d.DeletionProtected, DeletionProtection: d.DeletionProtection,
		MaterialExpiresAt: d.MaterialExpiresAt, Hidden: d.Hidden,
		Tags: keys.Tags(d.Tags), Creator: d.Creator, CreatedAt: d.CreatedAt,
	}
}

func versionToDoc(v *keys.Version) *versionDoc {
	return &versionDoc{v.ID, v.Ordinal, v.State, v.DeleteAt, v.Origin, v.AutoRotated, v.PublicKey, v.CreatedAt}
}

func (d *versionDoc) version() *keys.Version {
	return &keys.Version{
		ID: d.ID, Ordinal: d.Ordinal, State: d.State, DeleteAt: d.DeleteAt, Origin: d.Origin,
		AutoRotated: d.AutoRotated, PublicKey: d.PublicKey, CreatedAt: d.CreatedAt,
	}
}
