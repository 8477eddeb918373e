import type { OptionTable } from '../../core/options.js'
import type { Metadata } from '../log.js'

/** What is said with a command. */
export interface ExecuteOptions {
  /**
   * Makes a repetition harmless: what the command appends is appended once, however often it is executed under the same
   * id. Up to 240 bytes. Default: a new UUID.
   */
  id?: string
  /** Who commands; stands in the metadata of every event. */
  actor?: string
  /** What it belongs to; default that of `metadata`, or its id. */
  correlationId?: string
  /** More metadata of every event. */
  metadata?: Metadata
  signal?: AbortSignal
}

export const EXECUTE: OptionTable<ExecuteOptions> = {
  id: { kind: 'string', doc: 'makes a repetition harmless' },
  actor: { kind: 'string', doc: 'who commands' },
  correlationId: { kind: 'string', doc: 'what it belongs to' },
  metadata: { kind: 'code', type: 'object', doc: 'more metadata' },
  signal: { kind: 'code', type: 'object', doc: 'ends it' },
}
