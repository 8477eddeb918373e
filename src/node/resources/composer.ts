import type { Resource } from '../../coordination/resources/object.js'
import type { Environment } from '../config/environment.js'
import { checkWhole } from '../config/load.js'
import { formatPath, type ConfigProblem, type Path } from '../config/problem.js'
import type { Origin } from '../configuration.js'
import { bring } from '../configurator.js'
import type { ChangeOutcome, Running } from '../control.js'
import { configOf, type Composition } from './config-of.js'
import { NODE_KIND } from './kinds.js'
import { resourceNameOf } from './names.js'
import { resolved } from './references.js'
import type { Whose } from './resources-of.js'
import type { Finding, Verdict } from './verdict.js'
import { wantedBy } from './wanted.js'

/** What a {@link Composer} works with. */
export interface ComposerParts {
  readonly node: Pick<Running, 'apply' | 'refuse' | 'configuration'>
  readonly whose: Whose
  readonly env: Environment
  /** What is so with all resources now. */
  resources(): readonly Resource[]
  /** The settings of this node, as long as no resource says them. */
  settings(): Readonly<Record<string, unknown>>
}

/** What a round of a {@link Composer} has come to. */
export interface Round {
  readonly outcome: ChangeOutcome
  readonly verdicts: readonly Verdict[]
  /** What is wrong with resources that were left as they ran, or out. */
  readonly left: readonly ConfigProblem[]
}

const IN_FORCE: Finding = { status: 'True', reason: 'InForce', message: 'the node runs it' }
const VALID: Finding = { status: 'True', reason: 'Valid', message: 'the node can run it' }

/**
 * Makes one configuration of all resources, and brings it to the node. Of those that have changed and are not right, it takes what
 * ran before, if anything did, so that one mistake holds up nobody else. What ran and cannot run on, as something that it needs is
 * gone, is never left out: then all of what was stays in force. Each resource is told what has become of it.
 */
export class Composer {
  readonly #parts: ComposerParts
  /** What the node runs, by what resources wanted. */
  #inForce: ReadonlySet<string> = new Set()
  /** The same, by the uids of the resources; undefined until it runs what resources say. */
  #running: ReadonlyMap<string, Resource> | undefined
  /** What was refused since everything was right, to say it once. */
  readonly #refused = new Set<string>()

  constructor(parts: ComposerParts) {
    this.#parts = parts
  }

  async round(origin: Origin): Promise<Round> {
    const resources = this.#parts.resources()
    const wrong = new Map<Resource, readonly ConfigProblem[]>()
    const unclear = new Map<Resource, string>()
    for (;;) {
      const chosen = resources.flatMap((resource) =>
        wrong.has(resource) || unclear.has(resource)
          ? (this.#running?.get(resource.metadata.uid) ?? [])
          : [resource],
      )
      const composition = configOf(chosen, this.#parts.whose.node)
      if (composition.faults.length > 0) {
        for (const { resource, message } of composition.faults) unclear.set(resource, message)
        continue
      }
      const outcome = await this.#bring(composition, origin)
      const blamed = outcome.ok ? new Map<Resource, ConfigProblem[]>() : blame(outcome.problems, composition)
      const changed =
        outcome.ok || outcome.why !== 'invalid' ? [] : [...blamed].filter(([each]) => this.#isNews(each))
      if (changed.length > 0) {
        for (const [resource, problems] of changed) wrong.set(resource, problems)
        continue
      }
      if (outcome.ok) {
        this.#inForce = new Set(chosen.map(wantedBy))
        this.#running = new Map(chosen.map((resource) => [resource.metadata.uid, resource]))
        if (wrong.size === 0) this.#refused.clear()
      }
      const verdicts = this.#judge(resources, outcome, new Map([...blamed, ...wrong]), unclear)
      return { outcome, verdicts, left: [...wrong.values()].flat() }
    }
  }

  async #bring(composition: Composition, origin: Origin): Promise<ChangeOutcome> {
    const { whose, env } = this.#parts
    const written = { ...(composition.self ? {} : this.#parts.settings()), ...composition.config }
    const { value, problems } = resolved(written, env)
    const loaded = await checkWhole(`the resources of ${whose.namespace}`, {
      value,
      written: () => written,
      problems: [...problems],
      locate: () => undefined,
    })
    return bring(this.#tellingOnce, loaded, origin)
  }

  /** Whether it is new, or another one than the one that runs. */
  #isNews(resource: Resource): boolean {
    return this.#running !== undefined && !this.#inForce.has(wantedBy(resource))
  }

  /** The node, but that what is refused for the same reasons again is no news. */
  get #tellingOnce(): ComposerParts['node'] {
    const { node } = this.#parts
    return {
      configuration: node.configuration,
      apply: (spec, origin, options) => node.apply(spec, origin, options),
      refuse: (origin, problems) => {
        const text = JSON.stringify(problems)
        if (!this.#refused.has(text)) node.refuse(origin, problems)
        this.#refused.add(text)
      },
    }
  }

  #judge(
    resources: readonly Resource[],
    outcome: ChangeOutcome,
    wrong: ReadonlyMap<Resource, readonly ConfigProblem[]>,
    unclear: ReadonlyMap<Resource, string>,
  ): Verdict[] {
    const names = [...wrong.keys()].map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    const own = resourceNameOf(this.#parts.whose.node)
    return resources
      .filter(
        ({ kind, metadata }) =>
          metadata.deletionTimestamp === undefined &&
          // Of the settings of other nodes those know more.
          (kind !== NODE_KIND || metadata.name === own),
      )
      .map((resource): Verdict => {
        const fault = unclear.get(resource)
        if (fault !== undefined) return refusedFor(resource, 'Unclear', fault)
        const problems = wrong.get(resource)
        if (problems)
          return refusedFor(resource, 'Invalid', problems.map((each) => said(resource, each)).join('; '))
        const runs = this.#inForce.has(wantedBy(resource))
        return { resource, accepted: VALID, programmed: runs ? IN_FORCE : heldBack(outcome, names) }
      })
  }
}

function refusedFor(resource: Resource, reason: string, message: string): Verdict {
  return {
    resource,
    accepted: { status: 'False', reason, message },
    programmed: { status: 'False', reason, message: 'the node does not run it as it is' },
  }
}

/** Right by itself, but what it came with is not. */
function heldBack(outcome: ChangeOutcome, names: readonly string[]): Finding {
  const why =
    names.length > 0
      ? `${names.slice(0, 3).join(', ')}${names.length > 3 ? ' and others are' : names.length > 1 ? ' are' : ' is'} not right`
      : outcome.ok
        ? 'it is not decided yet'
        : outcome.problems.map(({ path, message }) => textOf(path, message)).join('; ')
  return { status: 'False', reason: 'HeldBack', message: `another configuration stays in force: ${why}` }
}

/** Which resources are at fault, and why. */
function blame(problems: readonly ConfigProblem[], composition: Composition): Map<Resource, ConfigProblem[]> {
  const wrong = new Map<Resource, ConfigProblem[]>()
  for (const problem of problems) {
    const { severity, path, message } = problem
    if (severity !== 'error') continue
    const resource = composition.resourceAt(path.length > 0 ? path : pathIn(message))
    if (resource) wrong.set(resource, [...(wrong.get(resource) ?? []), problem])
  }
  return wrong
}

/** A problem as it looks from the resource that is at fault. */
function said({ kind }: Resource, { path, message }: ConfigProblem): string {
  return textOf(['spec', ...(kind === NODE_KIND ? path : path.slice(2))], message)
}

/** What refuses a change once it is being made says only in words what it is about: `events.path: cannot change ...`. */
function pathIn(message: string): Path {
  const [, text] = /^([A-Za-z][\w.-]*): /.exec(message) ?? []
  return text === undefined ? [] : text.split('.')
}

function textOf(path: Path, message: string): string {
  return path.length === 0 ? message : `${formatPath(path)}: ${message}`
}
