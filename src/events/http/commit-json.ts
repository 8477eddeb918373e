import type { Commit, Expected, NewEvent, StreamAppend, StreamCheck } from '../log.js'
import { problem } from './problem.js'

/**
 * A commit as JSON, in the words of `log.append`; bytes are `dataBase64` in the place of `data`. Its shape is checked
 * here, whatever a name or a number may be by the log.
 *
 * @throws a problem of 400 that says where
 */
export function commitOf(value: unknown): Commit {
  const { id, streams, checks } = record(value, 'the commit', ['id', 'streams', 'checks'])
  return {
    ...(id !== undefined && { id: text(id, 'id') }),
    ...(streams !== undefined && { streams: list(streams, 'streams').map(streamAppend) }),
    ...(checks !== undefined && { checks: list(checks, 'checks').map(streamCheck) }),
  }
}

function streamAppend(value: unknown, index: number): StreamAppend {
  const at = `streams[${index}]`
  const { stream, expected, events } = record(value, at, ['stream', 'expected', 'events'])
  return {
    stream: text(stream, `${at}.stream`),
    ...(expected !== undefined && { expected: expected as Expected }),
    events: list(events, `${at}.events`).map((event, number) => newEvent(event, `${at}.events[${number}]`)),
  }
}

function streamCheck(value: unknown, index: number): StreamCheck {
  const at = `checks[${index}]`
  const { stream, expected } = record(value, at, ['stream', 'expected'])
  return { stream: text(stream, `${at}.stream`), expected: expected as Expected }
}

const EVENT_KEYS = ['id', 'type', 'data', 'dataBase64', 'metadata', 'tags', 'schemaVersion', 'time'] as const

function newEvent(value: unknown, at: string): NewEvent {
  const { id, type, data, dataBase64, metadata, tags, schemaVersion, time } = record(value, at, EVENT_KEYS)
  if (data !== undefined && dataBase64 !== undefined)
    throw wrong(`${at}.dataBase64`, 'contradicts `data`: an event has one of both')
  const given =
    dataBase64 === undefined ? data : bytesOf(text(dataBase64, `${at}.dataBase64`), `${at}.dataBase64`)
  return {
    type: text(type, `${at}.type`),
    ...(id !== undefined && { id: text(id, `${at}.id`) }),
    ...(given !== undefined && { data: given }),
    ...(metadata !== undefined && { metadata: record(metadata, `${at}.metadata`) }),
    ...(tags !== undefined && {
      tags: list(tags, `${at}.tags`).map((tag, number) => text(tag, `${at}.tags[${number}]`)),
    }),
    ...(schemaVersion !== undefined && { schemaVersion: number(schemaVersion, `${at}.schemaVersion`) }),
    ...(time !== undefined && { time: number(time, `${at}.time`) }),
  }
}

function bytesOf(base64: string, at: string): Uint8Array {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64))
    throw wrong(at, 'is not base64')
  return Buffer.from(base64, 'base64')
}

function record(value: unknown, at: string, known?: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong(at, 'must be an object')
  const unknown = known && Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined)
    throw wrong(at, `has an unknown key \`${unknown}\`; known are ${known!.join(', ')}`)
  return value as Record<string, unknown>
}

function list(value: unknown, at: string): unknown[] {
  if (!Array.isArray(value)) throw wrong(at, 'must be a list')
  return value
}

function text(value: unknown, at: string): string {
  if (typeof value !== 'string') throw wrong(at, 'must be text')
  return value
}

function number(value: unknown, at: string): number {
  if (typeof value !== 'number') throw wrong(at, 'must be a number')
  return value
}

function wrong(at: string, what: string): Error {
  return problem(400, 'invalid-commit', `${at} ${what}.`)
}
