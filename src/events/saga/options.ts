import { inspect } from 'node:util'
import { BanyanError } from '../../core/errors.js'
import type { OptionTable } from '../../core/options.js'
import type { Metadata } from '../log.js'
import type { FollowSagasOptions } from './changes.js'
import type { ListOptions } from './list.js'
import { SAGA_STATUSES } from './status.js'

/** How a saga is started. */
export interface StartOptions {
  /** What tells it from others of its name: `17` for `fulfilment/17`. The same again starts nothing. Default: a new one. */
  id?: string
  /** Kept with its first event: who, why, of which request. */
  metadata?: Metadata
}

/** Who asks for something, and why. */
export interface Asker {
  reason?: string
  actor?: string
}

/** How a saga is signalled. */
export interface SignalOptions {
  /** The same again does nothing, and is refused with another name or payload. */
  id?: string
  /** Who gives it. */
  actor?: string
}

export const startOptions: OptionTable<StartOptions> = {
  id: { kind: 'string', doc: 'what tells it from others of its name' },
  metadata: { kind: 'code', type: 'object', doc: 'is kept with its first event' },
}

export const askerOptions: OptionTable<Asker> = {
  reason: { kind: 'string', doc: 'why' },
  actor: { kind: 'string', doc: 'who asks' },
}

export const signalOptions: OptionTable<SignalOptions> = {
  id: { kind: 'string', doc: 'the same again does nothing' },
  actor: { kind: 'string', doc: 'who gives it' },
}

export const outcomeOptions: OptionTable<{ signal?: AbortSignal }> = {
  signal: { kind: 'code', type: 'object', doc: 'ends the waiting' },
}

export const listOptions: OptionTable<ListOptions> = {
  saga: { kind: 'string', doc: 'only of this name' },
  status: { kind: 'choice', values: SAGA_STATUSES, doc: 'only in this state' },
  limit: { kind: 'number', min: 0, doc: 'at most so many' },
  before: { kind: 'string', doc: 'goes on behind this one' },
  signal: { kind: 'code', type: 'object', doc: 'ends it early' },
}

export const followOptions: OptionTable<FollowSagasOptions> = {
  id: { kind: 'string', doc: 'only this one' },
  saga: { kind: 'string', doc: 'only of this name' },
  from: { kind: 'string', doc: 'only after this position' },
  signal: { kind: 'code', type: 'object', doc: 'ends it' },
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function mustBeText(what: string, value: unknown): void {
  if (typeof value === 'string' && value !== '') return
  throw new BanyanError('BANYAN_INVALID_OPTIONS', `${what} is text that is not empty, got ${inspect(value)}`)
}
