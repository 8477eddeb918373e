import type { Resource } from '../../coordination/resources/object.js'
import type { Environment } from '../config/environment.js'
import { checkWhole } from '../config/load.js'
import { formatPath, type ConfigProblem, type Path } from '../config/problem.js'
import type { Origin } from '../configuration.js'
import { bring } from '../configurator.js'
import type { ChangeOutcome, Running } from '../control.js'
import { configOf, type Composition } from './config-of.js'
import { NODE_KIND } from './kinds.js'
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
}

const IN_FORCE: Finding = { status: 'True', reason: 'InForce', message: 'the node runs it' }
const VALID: Finding = { status: 'True', reason: 'Valid', message: 'the node can run it' }

/**
 * Makes one configuration of all resources, and brings it to the node: as a whole or not at all. One that is refused leaves in force
 * what was, and each resource is told what it has to do with that.
 */
export class Composer {
  readonly #parts: ComposerParts
  /** What the node runs, by what resources wanted. */
  #inForce: ReadonlySet<string> = new Set()
  /** What was refused last, to say it once. */
  #refused = ''

  constructor(parts: ComposerParts) {
    this.#parts = parts
  }

  async round(origin: Origin): Promise<Round> {
    const { whose, env } = this.#parts
    const resources = this.#parts.resources()
    const composition = configOf(resources, whose.node)
    const written = { ...(composition.self ? {} : this.#parts.settings()), ...composition.config }
    const { value, problems } = resolved(written, env)
    const loaded = await checkWhole(`the resources of ${whose.namespace}`, {
      value,
      written: () => written,
      problems: [...problems],
      locate: () => undefined,
    })
    const outcome = await bring(this.#tellingOnce, loaded, origin)
    if (outcome.ok) this.#refused = ''
    if (outcome.ok) this.#inForce = new Set(resources.map(wantedBy))
    return { outcome, verdicts: this.#judge(resources, composition, outcome) }
  }

  /** The node, but that what is refused for the same reasons again is no news. */
  get #tellingOnce(): ComposerParts['node'] {
    const { node } = this.#parts
    return {
      configuration: node.configuration,
      apply: (spec, origin, options) => node.apply(spec, origin, options),
      refuse: (origin, problems) => {
        const text = JSON.stringify(problems)
        if (text !== this.#refused) node.refuse(origin, problems)
        this.#refused = text
      },
    }
  }

  #judge(resources: readonly Resource[], composition: Composition, outcome: ChangeOutcome): Verdict[] {
    const faults = new Map(composition.faults.map(({ resource, message }) => [resource, message]))
    const wrong = outcome.ok ? new Map<Resource, string[]>() : blame(outcome.problems, composition)
    const names = [...wrong.keys()].map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    return resources
      .filter(
        (resource) =>
          resource.metadata.deletionTimestamp === undefined &&
          // Of the settings of other nodes those know more.
          (resource.kind !== NODE_KIND || resource === composition.self),
      )
      .map((resource): Verdict => {
        const fault = faults.get(resource)
        if (fault !== undefined) return refusedFor(resource, 'Unclear', fault)
        const found = wrong.get(resource)
        if (found) return refusedFor(resource, 'Invalid', found.join('; '))
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
function blame(problems: readonly ConfigProblem[], composition: Composition): Map<Resource, string[]> {
  const wrong = new Map<Resource, string[]>()
  for (const { severity, path, message } of problems) {
    if (severity !== 'error') continue
    const resource = composition.resourceAt(path.length > 0 ? path : pathIn(message))
    if (!resource) continue
    const within = resource === composition.self ? path : path.slice(2)
    wrong.set(resource, [...(wrong.get(resource) ?? []), textOf(['spec', ...within], message)])
  }
  return wrong
}

/** What refuses a change once it is being made says only in words what it is about: `events.path: cannot change ...`. */
function pathIn(message: string): Path {
  const [, text] = /^([A-Za-z][\w.-]*): /.exec(message) ?? []
  return text === undefined ? [] : text.split('.')
}

function textOf(path: Path, message: string): string {
  return path.length === 0 ? message : `${formatPath(path)}: ${message}`
}
