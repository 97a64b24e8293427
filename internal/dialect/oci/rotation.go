// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"fmt"
	"time"

	"claviger/internal/keys"
	"claviger/internal/kms"
)

// rotationModel is AutoKeyRotationDetails.
type rotationModel struct {
	RotationIntervalInDays int     `json:"rotationIntervalInDays"`
	TimeOfScheduleStart    *string `json:"timeOfScheduleStart"`
	TimeOfNextRotation     *string `json:"timeOfNextRotation"`
	TimeOfLastRotation     *string `json:"timeOfLastRotation"`
	LastRotationStatus     *string `json:"lastRotationStatus"`
	LastRotationMessage    *string `json:"lastRotationMessage"`
}

// rotation is nil for a key that is not rotated by the clock.
func rotation(r keys.Rotation) *rotationModel {
	if r.Interval == 0 {
		return nil
	}
	return &rotationModel{
		RotationIntervalInDays: int(r.Interval / keys.Day), TimeOfScheduleStart: timeOrNull(r.Start), TimeOfNextRotation: timeOrNull(r.Next),
		TimeOfLastRotation: timeOrNull(r.Last), LastRotationStatus: textOrNull(r.Status), LastRotationMessage: textOrNull(r.Message),
	}
}

// rotationDetails are the fields of a request that set the automatic rotation.
type rotationDetails struct {
	enabled *bool
	given   bool // autoKeyRotationDetails
	days    *int
	start   time.Time
}

func (q *rotationDetails) field(r *reader, name []byte) bool {
	switch string(name) {
	case "isAutoRotationEnabled":
		q.enabled = r.optionalFlag()
	case "autoKeyRotationDetails":
		if q.given = !r.null(); q.given {
			r.object((*scheduleFields)(q))
		}
	default:
		return false
	}
	return true
}

// scheduleFields reads AutoKeyRotationDetails. The fields that the server computes are not
// among them: a client that sends back what it has read finds them ignored.
type scheduleFields rotationDetails

func (q *scheduleFields) field(r *reader, name []byte) bool {
	switch string(name) {
	case "rotationIntervalInDays":
		q.days = r.integer(false)
	case "timeOfScheduleStart":
		q.start = r.moment()
	default:
		return false
	}
	return true
}

// The years in which a schedule may start: from that of the API's version, and such that every
// time that follows from it has a year of four digits.
const (
	firstYear = 2018
	lastYear  = 2999
)

// checkRotation wants a switch with the details, and an interval with a rotation that is switched on; in
// an update the interval that there is may stay. Details of a rotation that is switched off have
// no effect, which the answer says: Terraform sends them.
func (q *rotationDetails) checkRotation(in *input, update bool) error {
	switch {
	case q.days != nil && (*q.days < 60 || *q.days > 365):
		return keys.Invalid("autoKeyRotationDetails.rotationIntervalInDays", "autoKeyRotationDetails.rotationIntervalInDays must be 60 to 365")
	case !q.start.IsZero() && (q.start.Year() < firstYear || q.start.Year() > lastYear):
		return keys.Invalid("autoKeyRotationDetails.timeOfScheduleStart", fmt.Sprintf("autoKeyRotationDetails.timeOfScheduleStart must lie in the years %d to %d", firstYear, lastYear))
	case q.given && q.enabled == nil:
		return keys.Invalid("autoKeyRotationDetails", "autoKeyRotationDetails needs isAutoRotationEnabled beside it")
	case q.given && !*q.enabled:
		in.ignored = append(in.ignored, "autoKeyRotationDetails")
	case q.enabled != nil && *q.enabled && q.days == nil && !update:
		return keys.Missing("autoKeyRotationDetails.rotationIntervalInDays")
	}
	return nil
}

// policy is what the fields ask for; nil leaves the rotation as it is. A schedule starts at
// midnight UTC: of the day given, or of today.
func (q *rotationDetails) policy(now time.Time) *kms.RotationPolicy {
	switch {
	case q.enabled == nil:
		return nil
	case !*q.enabled:
		return &kms.RotationPolicy{}
	}
	p := &kms.RotationPolicy{Enabled: true, Start: q.start}
	if q.days != nil {
		p.Interval = time.Duration(*q.days) * keys.Day
		if p.Start.IsZero() {
			p.Start = now
		}
	}
	p.Start = p.Start.UTC().Truncate(keys.Day)
	return p
}
