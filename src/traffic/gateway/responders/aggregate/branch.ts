import { duration } from '../../../../core/duration.js'
import { BanyanError } from '../../../../core/errors.js'
import type { Counter, Histogram, Span } from '../../../../core/telemetry.js'
import { timeout } from '../../../policies/timeout.js'
import type { Call, Policy } from '../../../policy.js'
import type { RouteContext } from '../../filter.js'
import type { Forwarding } from '../../forwarding.js'
import { isTruthy, type Scope } from '../../filters/shaping/expression.js'
import { headersOf } from '../../filters/shaping/request-scope.js'
import type { Service } from '../../service.js'
import { subrequest } from '../../subrequest.js'
import { errorType } from '../../telemetry/error-type.js'
import { BranchError, StatusError } from './failure.js'
import type { Gathered } from './gathered.js'
import type { PlannedBranch } from './plan.js'
import { readAnswer } from './read.js'
import { shapeRequest, ShapeError } from './request.js'

/** What expressions read of a branch. */
export interface BranchValue {
  /** Whether it was asked and answered well; of a list, whether every one was. */
  ok: boolean
  /** `null` if it was not answered, and of a list. */
  status: number | null
  headers: Readonly<Record<string, string>>
  body: unknown
}

type Outcome = 'ok' | 'default' | 'skipped' | 'failed' | 'cancelled'

/** Longer than any caller waits: a limit that is only there for the deadline of the call. */
const NO_TIMEOUT_MS = 24 * 60 * 60 * 1000

/** Asks one branch's service, once or for each element of a list. */
export class BranchRunner {
  readonly branch: PlannedBranch
  readonly #context: RouteContext
  readonly #service: Service
  readonly #limit: Policy
  readonly #outcomes: Readonly<Record<Outcome, Counter>>
  readonly #durations: Histogram

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if there is no such service */
  constructor(branch: PlannedBranch, context: RouteContext) {
    const { route, runtime, services } = context
    const { name, spec } = branch
    this.branch = branch
    this.#context = context
    const service = services.get(spec.service)
    if (!service) {
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `routes.${route}.aggregate.branches.${name}.service: unknown service \`${spec.service}\``,
      )
    }
    this.#service = service
    const after = spec.timeout === undefined ? NO_TIMEOUT_MS : duration(spec.timeout, 'timeout')
    this.#limit = timeout({ after, name: `${route} ${name}`, runtime })
    const attributes = { 'http.route': route, 'banyan.branch': name }
    const outcome = (outcome: Outcome): Counter =>
      runtime.telemetry.counter('banyan.aggregate.branches', {
        description: 'Branches of aggregations by what came of them.',
        unit: '{branch}',
        attributes: { ...attributes, 'banyan.outcome': outcome },
      })
    this.#outcomes = {
      ok: outcome('ok'),
      default: outcome('default'),
      skipped: outcome('skipped'),
      failed: outcome('failed'),
      cancelled: outcome('cancelled'),
    }
    this.#durations = runtime.telemetry.histogram('banyan.aggregate.branch.duration', {
      description: 'Time from the start of a branch to the end of its last answer.',
      unit: 's',
      attributes,
    })
  }

  /**
   * @param all - the call that every branch is a part of
   * @throws {@link BranchError} if the branch is required and has failed
   */
  async run(gathered: Gathered, all: Call): Promise<BranchValue> {
    const { name, when, forEach } = this.branch
    const { clock } = this.#context.runtime
    const startedAt = clock.now()
    try {
      if (when && !isTruthy(when.evaluate(gathered.scope))) {
        this.#outcomes.skipped.add(1)
        return this.#standIn()
      }
      const value = forEach
        ? await this.#askEach(gathered, all, forEach.evaluate(gathered.scope))
        : await this.#ask(gathered, all, gathered.scope)
      this.#outcomes[value.ok ? 'ok' : 'default'].add(1)
      this.#durations.record((clock.now() - startedAt) / 1000)
      return value
    } catch (error) {
      if (all.cancelled) {
        this.#outcomes.cancelled.add(1)
        throw error
      }
      if (this.#isFinal(error)) {
        this.#outcomes.failed.add(1)
        throw new BranchError(name, error)
      }
      this.#outcomes.default.add(1)
      gathered.missing.add(name)
      return this.#standIn()
    }
  }

  async #askEach(gathered: Gathered, all: Call, list: unknown): Promise<BranchValue> {
    const { name, spec } = this.branch
    const { maxItems = 100, concurrency = 10 } = spec
    const items = list ?? []
    if (!Array.isArray(items)) throw new ShapeError('`forEach` is not a list')
    if (items.length > maxItems)
      throw new ShapeError(`\`forEach\` has ${items.length} elements, more than ${maxItems}`)
    const values: BranchValue[] = []
    let next = 0
    const work = async (): Promise<void> => {
      while (next < items.length) {
        const index = next++
        const item = (items as unknown[])[index]
        try {
          values[index] = await this.#ask(gathered, all, { ...gathered.scope, item, index })
        } catch (error) {
          if (all.cancelled || this.#isFinal(error)) throw error
          gathered.missing.add(name)
          values[index] = this.#standIn()
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work))
    return {
      ok: values.every(({ ok }) => ok),
      status: null,
      headers: {},
      body: values.map(({ body }) => body),
    }
  }

  async #ask(gathered: Gathered, all: Call, scope: Scope): Promise<BranchValue> {
    const { spec } = this.branch
    const { forwarding } = gathered
    const shaped = shapeRequest(this.branch, scope, forwardedFields(forwarding, spec.forward))
    const exchange = (call: Call): Promise<BranchValue> => this.#exchange(gathered, call, shaped)
    if (spec.timeout === undefined && all.deadline === Infinity) return exchange(all)
    return this.#limit.wrap(exchange)(all)
  }

  async #exchange(
    gathered: Gathered,
    around: Call,
    { target, fields, body }: ReturnType<typeof shapeRequest>,
  ): Promise<BranchValue> {
    const { forwarding, allowance, answers } = gathered
    const { runtime } = this.#context
    const { spec } = this.branch
    const { method = 'GET' } = spec
    const span = forwarding.trace && this.#span(forwarding)
    const call = around.fork()
    try {
      const answer = await subrequest(this.#service, {
        origin: forwarding,
        method,
        target,
        fields,
        ...(body ? { body } : {}),
        call,
        trace: span?.context,
        clock: runtime.clock,
      })
      if (answer.status < 200 || answer.status > 299) throw new StatusError(answer.status)
      const value = await readAnswer(answer, allowance)
      answers.push(answer.fields)
      around.release(call)
      span?.end()
      return { ok: true, status: answer.status, headers: headersOf(answer.fields), body: value }
    } catch (error) {
      // What is still to come of the answer is of no use.
      around.drop(call, error)
      if (!around.cancelled) span?.fail(errorType(error))
      span?.end()
      throw error
    }
  }

  #span({ trace }: Forwarding): Span | undefined {
    const { route, runtime } = this.#context
    const { name, spec } = this.branch
    return runtime.telemetry.span(`branch ${name}`, {
      attributes: { 'http.route': route, 'banyan.branch': name, 'banyan.service': spec.service },
      parent: trace,
    })
  }

  /** Whether there is no answer without it, or a rule says what the answer is then. */
  #isFinal(error: unknown): boolean {
    const { optional, onStatus } = this.branch.spec
    return optional === undefined || (error instanceof StatusError && onStatus?.[error.status] !== undefined)
  }

  /** What expressions read of a branch that was not answered. */
  #standIn(): BranchValue {
    const { optional } = this.branch.spec
    const body = typeof optional === 'object' ? (optional.default ?? null) : null
    return { ok: false, status: null, headers: {}, body }
  }
}

/** The fields that a branch passes on, as a service would get them. */
function forwardedFields(forwarding: Forwarding, names: readonly string[] = []): [string, string][] {
  return names.flatMap((name): [string, string][] => {
    const value = forwarding.sent(name.toLowerCase())
    return value === undefined ? [] : [[name, value]]
  })
}
