import { bytes } from '../../../core/bytes.js'
import { BanyanError } from '../../../core/errors.js'
import { Fields } from '../../http/fields.js'
import { problemResponse } from '../../http/problem.js'
import type { Call } from '../../policy.js'
import { UpstreamAnswer } from '../answer.js'
import type { RouteContext } from '../filter.js'
import { readJsonRequest } from '../filters/shaping/request-body.js'
import { RequestReader } from '../filters/shaping/request-scope.js'
import type { Forwarding } from '../forwarding.js'
import type { Responder } from '../responder.js'
import { parsePattern } from '../router.js'
import { httpDate } from '../semantics/date.js'
import { mergedAnswer } from './aggregate/answer.js'
import { BranchRunner } from './aggregate/branch.js'
import { BranchError, branchRefusal, StatusError } from './aggregate/failure.js'
import { planAggregate, type Plan } from './aggregate/plan.js'
import type { Gathered } from './aggregate/gathered.js'
import type { AggregateSpec } from './aggregate/spec.js'

/**
 * Answers from several services at once (API composition; gateway aggregation in the words of Azure's catalogue).
 *
 * `plan` finds out from the expressions which branch reads what of which, and so the order; `branch` asks the services,
 * each under its own policies; `answer` makes one answer of theirs. The first required branch that fails ends the
 * others at once, and so does a client that goes away.
 */
export function aggregate(spec: AggregateSpec, context: RouteContext): Responder {
  const { route, gateway } = context
  const { names } = parsePattern(gateway.routes[route]?.match.path ?? '/*')
  const { plan, problems } = planAggregate(spec, names)
  if (!plan) {
    const { path, message } = problems[0]!
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `routes.${route}.aggregate.${path.join('.')}: ${message}`)
  }
  const aggregator = new Aggregator(spec, plan, context)
  const { clock } = context.runtime
  return async (call) => {
    const answer = await aggregator.respond(call)
    answer.fields.append('Date', httpDate(clock.wall()))
    return answer
  }
}

class Aggregator {
  readonly #spec: AggregateSpec
  readonly #plan: Plan
  readonly #context: RouteContext
  readonly #runners: readonly BranchRunner[]
  readonly #maxBytes: number
  readonly #maxDepth: number
  /** What is read of the client's request. */
  readonly #request: RequestReader
  /** Fields of the client's request that the answer depends on. */
  readonly #vary: string

  constructor(spec: AggregateSpec, plan: Plan, context: RouteContext) {
    this.#spec = spec
    this.#plan = plan
    this.#context = context
    this.#maxBytes = bytes(spec.maxBytes ?? '4MB', 'aggregate: maxBytes')
    this.#maxDepth = spec.maxDepth ?? 64
    this.#runners = plan.branches.map((branch) => new BranchRunner(branch, context))
    this.#request = new RequestReader(plan.references)
    const { headers } = this.#request
    const forwarded = Object.values(spec.branches).flatMap(({ forward = [] }) => forward)
    this.#vary = headers
      ? [...new Set([...headers, ...forwarded].map((name) => name.toLowerCase()))].sort().join(', ')
      : '*'
  }

  async respond(call: Call): Promise<UpstreamAnswer> {
    const forwarding = call.subject as Forwarding
    const gathered = await this.#begin(forwarding)
    // Every branch is a part of this, so that all of them can be ended together.
    const all = call.fork()
    try {
      await this.#runAll(gathered, all)
    } catch (error) {
      call.drop(all, error)
      if (call.cancelled) throw call.reason
      return this.#fail(error)
    }
    call.release(all)
    return mergedAnswer(this.#spec, this.#plan, gathered, forwarding.request, this.#vary)
  }

  async #begin(forwarding: Forwarding): Promise<Gathered> {
    const body = this.#request.reads('body')
      ? await readJsonRequest(forwarding, this.#maxBytes, this.#maxDepth)
      : null
    return {
      forwarding,
      scope: { request: this.#request.scope(forwarding, body) },
      allowance: { bytes: this.#maxBytes, depth: this.#maxDepth },
      answers: [],
      missing: new Set(),
    }
  }

  /** Starts every branch as soon as those it waits for are done; rejects with the first failure. */
  async #runAll(gathered: Gathered, all: Call): Promise<void> {
    const done = new Map<string, Promise<void>>()
    for (const runner of this.#runners) {
      const { name, waitsFor } = runner.branch
      const before = waitsFor.map((each) => done.get(each)!)
      const run = async (): Promise<void> => {
        gathered.scope[name] = await runner.run(gathered, all)
      }
      done.set(name, before.length === 0 ? run() : Promise.all(before).then(run))
    }
    await Promise.all(done.values())
  }

  #fail(error: unknown): UpstreamAnswer {
    if (!(error instanceof BranchError)) throw error
    const { branch, cause } = error
    const status =
      cause instanceof StatusError ? this.#spec.branches[branch]?.onStatus?.[cause.status] : undefined
    // Foreseen, and so an answer, which no policy takes for a failure unless its status says so.
    if (status !== undefined) return foreseen(status, branch)
    if (!(cause instanceof BanyanError) && !(cause instanceof StatusError)) {
      this.#context.runtime.telemetry.log('warn', 'A branch of an aggregation cannot be used.', {
        'http.route': this.#context.route,
        'banyan.branch': branch,
        'exception.message': cause instanceof Error ? cause.message : String(cause),
      })
    }
    throw branchRefusal(branch, cause)
  }
}

function foreseen(status: number, branch: string): UpstreamAnswer {
  const { fields, body } = problemResponse({
    status,
    code: 'branch-status',
    detail: `\`${branch}\`, a part of the answer, was answered with this status.`,
    extensions: { branch },
  })
  return UpstreamAnswer.of(status, Fields.of(fields), body)
}
