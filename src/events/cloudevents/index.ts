/**
 * Events as CloudEvents 1.0 and back (https://cloudevents.io; JSON event format, batches, HTTP binding).
 *
 * `toCloudEvent` and `fromCloudEvent` map an event to attributes and back, without loss in either direction: an event of a
 * log is the same after both, and so is a CloudEvent of any other producer. What attributes cannot hold (metadata that
 * is an object, names with control characters) travels as JSON inside of an attribute. `docs/events/cloudevents.md` has
 * the table.
 *
 * The files, in the order of a call: `cloud-event.ts` what a CloudEvent is, `attributes.ts` the values of attributes,
 * `names.ts` our extension attributes, `to.ts` and `from.ts` the mapping, `time.ts`, `text.ts` from JSON, `http.ts` in messages
 * of HTTP.
 */
export { checkCloudEvent, type CloudEvent } from './cloud-event.js'
export { toCloudEvent, type CloudEventOptions } from './to.js'
export { fromCloudEvent, streamOf, type ReceivedEvent } from './from.js'
export { CLOUDEVENT_BATCH, CLOUDEVENT_JSON, parseCloudEvent, parseCloudEventBatch } from './text.js'
export { cloudEventsFromHttp, cloudEventToHttp, type HttpCloudEvent, type HttpHeaders } from './http.js'
