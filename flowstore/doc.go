// Package flowstore keeps the flows of a session: their snapshots in order of
// arrival, their marks, filtered and ordered views of them, and what can be
// undone.
//
//	owner ── Publish ──▶ Store ── Subscribe ──▶ Take: IDs of what changed
//	                       │
//	people ── Edit … ──────┤
//	                       └── View: filter, order ──▶ Window of snapshots
//
// A snapshot is never written to; changing a flow means putting another snapshot
// in its place. Subscribers and views learn that a flow changed, not how often,
// and read the latest snapshot when they get to it: nobody who publishes waits
// for anybody who reads. Everything here is safe for use by several goroutines.
package flowstore
