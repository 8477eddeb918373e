import type { Clock } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import type { ResourceDefinition } from './define.js'
import { invalid } from './admission.js'
import { readDraft } from './draft.js'
import { ResourceError, type ResourceProblem } from './error.js'
import { frozen } from './frozen.js'
import { updated, type Part, type Unwritten } from './lifecycle.js'
import type { Resource, ResourceDraft } from './object.js'

/**
 * Code that has a say in every write through these resources, in the place of Kubernetes' admission webhooks. All hooks are asked
 * one after another, and again if a write is made anew because somebody else was faster: a hook does nothing else.
 *
 * Whoever throws refuses: a {@link ResourceError} is given to the writer as it is, anything else as `BANYAN_RESOURCE_HOOK_FAILED`,
 * and so is that it took too long.
 */
export interface AdmissionHook {
  /** For messages. */
  readonly name: string
  /** Which kinds it is asked about. Default: all. */
  readonly kinds?: readonly ResourceDefinition[]
  /** How long it may take to answer, in ms or as text. Default `'10s'`, as in Kubernetes. */
  readonly timeout?: Duration
  /**
   * Makes another of what is to be written, before defaults are filled in and it is checked; only of the part that is written.
   *
   * @returns what shall be written, or nothing if it is fine as it is
   */
  readonly mutate?: (request: AdmissionRequest) => Promise<Mutation> | Mutation
  /**
   * Looks at what would be stored, or at what would be deleted.
   *
   * @returns why it may not be (`BANYAN_RESOURCE_FORBIDDEN`), everything that is wrong with it (`BANYAN_RESOURCE_INVALID`), or
   *   nothing
   */
  readonly validate?: (request: AdmissionRequest) => Promise<Objection> | Objection
}

/** See {@link AdmissionHook.mutate}. */
export type Mutation = ResourceDraft | undefined

/** See {@link AdmissionHook.validate}. */
export type Objection = string | readonly ResourceProblem[] | undefined

/** What an {@link AdmissionHook} is asked about. */
export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE'
  readonly kind: ResourceDefinition
  /** As it would be, or as it is if it would be deleted. Frozen. */
  readonly object: Resource
  /** As it is; undefined if it would be made. Frozen. */
  readonly before: Resource | undefined
  /** The part that is written; undefined: all but the status. */
  readonly subresource: 'status' | 'scale' | undefined
  /** Whether nothing will be written. */
  readonly dryRun: boolean
  /** Who writes; undefined if it would be deleted. */
  readonly fieldManager: string | undefined
}

/** What of a request is the same for all hooks. */
export type AdmissionContext = Omit<AdmissionRequest, 'object'>

/** All hooks of some resources. */
export class Hooks {
  readonly #hooks: readonly AdmissionHook[]
  readonly #clock: Clock

  constructor(hooks: readonly AdmissionHook[], clock: Clock) {
    this.#hooks = hooks
    this.#clock = clock
  }

  /** What is to be written, as all hooks would have it. */
  async mutate(object: Unwritten, part: Part, context: AdmissionContext): Promise<Unwritten> {
    let mutated = object
    for (const hook of this.#of(context.kind))
      mutated = await guarded(hook, async () => {
        const draft = await this.#inTime(hook, hook.mutate?.({ ...context, object: frozen(mutated) }))
        return draft ? updated(mutated, readDraft(context.kind, draft, {}, context.before), part) : mutated
      })
    return mutated
  }

  /** @throws `BANYAN_RESOURCE_FORBIDDEN`, `BANYAN_RESOURCE_INVALID`, `BANYAN_RESOURCE_HOOK_FAILED` */
  async validate(object: Resource, context: AdmissionContext): Promise<void> {
    const { kind } = context
    for (const hook of this.#of(kind)) {
      const objection = await guarded(hook, async () =>
        this.#inTime(hook, hook.validate?.({ ...context, object: frozen(object) })),
      )
      if (typeof objection === 'string') throw forbidden(kind, object, hook, objection)
      if (objection && objection.length > 0) throw invalid(kind, object.metadata.name, objection)
    }
  }

  async #inTime<Answer>(
    { timeout = '10s' }: AdmissionHook,
    answer: Promise<Answer> | Answer,
  ): Promise<Answer> {
    if (!(answer instanceof Promise)) return answer
    const ms = duration(timeout)
    const result = await raceWithTimer(this.#clock, answer, ms)
    if (isPassed(result)) throw new Error(`no answer within ${ms} ms`)
    return result
  }

  #of({ group, kind }: ResourceDefinition): AdmissionHook[] {
    return this.#hooks.filter(
      ({ kinds }) => kinds?.some((each) => each.group === group && each.kind === kind) ?? true,
    )
  }
}

async function guarded<Answer>({ name }: AdmissionHook, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof ResourceError) throw error
    const why = error instanceof Error ? error.message : String(error)
    const message = `Internal error occurred: the admission hook ${JSON.stringify(name)} failed: ${why}`
    throw new ResourceError('BANYAN_RESOURCE_HOOK_FAILED', message, {}, { cause: error })
  }
}

function forbidden(
  { group, plural }: ResourceDefinition,
  { metadata: { name } }: Resource,
  hook: AdmissionHook,
  why: string,
): ResourceError {
  return new ResourceError(
    'BANYAN_RESOURCE_FORBIDDEN',
    `${plural}.${group} ${JSON.stringify(name)} is forbidden: admission hook ${JSON.stringify(hook.name)} denied the request: ${why}`,
    { name, group, kind: plural },
  )
}
