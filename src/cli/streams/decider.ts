import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createJiti } from 'jiti'
import { BanyanError } from '../../core/errors.js'
import { noTelemetry } from '../../core/telemetry.js'
import { systemRuntime } from '../../core/runtime.js'
import type { EventLog, EventShape } from '../../events/index.js'
import { Replays, type Evolution } from '../../events/event-sourcing/replay.js'
import { UsageError } from '../usage-error.js'

type AnyEvolution = Evolution<unknown, EventShape>

/**
 * What makes states of the events of a log.
 *
 * @param module - a path, with the name of an export behind a `#` if it has several
 * @throws {@link UsageError} if it exports no decider; `BANYAN_INVALID_OPTIONS` if it cannot be loaded
 */
export async function statesOf(log: EventLog, module: string): Promise<Replays<unknown, EventShape>> {
  const evolution = await evolutionOf(module)
  // Nothing is decided on what is only looked at, and which versions it takes, nobody can say here.
  return new Replays(log, evolution, undefined, { ...systemRuntime, telemetry: noTelemetry }, 'any')
}

async function evolutionOf(module: string): Promise<AnyEvolution> {
  const [, path = '', name] = /^(.*?)(?:#([^#/\\]+))?$/s.exec(module) ?? []
  const file = resolve(path)
  if (!existsSync(file)) throw new UsageError(`--decider: there is no file ${path}`)
  const exported = await exportsOf(file, path)
  if (name !== undefined) {
    const found = exported[name]
    if (isEvolution(found)) return found
    throw new UsageError(
      `--decider: ${path} exports ${name in exported ? `${name}, which has no initialState and evolve` : `no ${name}`}`,
    )
  }
  if (isEvolution(exported)) return exported
  if (isEvolution(exported['default'])) return exported['default']
  const names = Object.keys(exported).filter((each) => isEvolution(exported[each]))
  if (names.length === 1) return exported[names[0]!] as AnyEvolution
  throw new UsageError(
    names.length === 0
      ? `--decider: ${path} exports nothing with initialState and evolve`
      : `--decider: ${path} exports ${names.join(', ')}; say which, as ${path}#${names[0]!}`,
  )
}

async function exportsOf(file: string, path: string): Promise<Record<string, unknown>> {
  try {
    return await createJiti(import.meta.url).import<Record<string, unknown>>(file)
  } catch (error) {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `cannot load ${path}: ${String(error)}`, { cause: error })
  }
}

function isEvolution(value: unknown): value is AnyEvolution {
  if (typeof value !== 'object' || value === null) return false
  const { initialState, evolve } = value as Partial<AnyEvolution>
  return typeof initialState === 'function' && typeof evolve === 'function'
}
