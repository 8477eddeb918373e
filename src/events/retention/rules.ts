import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { findProblems, type OptionTable } from '../../core/options.js'
import { categoryOf } from '../names.js'

/**
 * What to keep of the streams that it is about; the rest is removed. Of several rules that are about a stream, the one for that
 * stream decides, else the one for its category, else the one for everything.
 */
export interface RetentionRule {
  /** About one stream. */
  stream?: string
  /** About the streams of a category. Without both, about every stream. */
  category?: string
  /** Removes events that were recorded longer ago. Default: they may be of any age. */
  maxAge?: Duration
  /** Removes the first events of each stream that has more. Default: there may be any number. */
  maxEvents?: number
}

/** The options of a rule, for whoever reads them from a configuration. */
export const RETENTION_RULE: OptionTable<RetentionRule> = {
  stream: { kind: 'string', doc: 'about one stream' },
  category: { kind: 'string', doc: 'about the streams of a category' },
  maxAge: { kind: 'duration', min: 1, doc: 'removes events that were recorded longer ago' },
  maxEvents: {
    kind: 'number',
    min: 0,
    integer: true,
    doc: 'removes the first events of each stream that has more',
  },
}

/** What is wrong with rules, for an error; undefined if nothing is. */
export function problemOfRules(rules: readonly RetentionRule[]): string | undefined {
  const about = new Set<string>()
  for (const [index, rule] of rules.entries()) {
    const [problem] = findProblems(RETENTION_RULE, rule)
    if (problem) return `rules.${[index, ...problem.path].join('.')} ${problem.message}`
    const { stream, category } = rule
    if (stream !== undefined && category !== undefined)
      return `rules.${index} has a stream and a category; a rule is about one of them, or about everything`
    const subject = JSON.stringify([stream, category])
    if (about.has(subject)) return `rules.${index} is about the same streams as a rule before it`
    about.add(subject)
  }
  return undefined
}

/** Rules, by what they are about. */
export class Rules {
  readonly all: readonly RetentionRule[]
  readonly #streams = new Map<string, RetentionRule>()
  readonly #categories = new Map<string, RetentionRule>()
  readonly #everything: RetentionRule | undefined
  /** Categories of streams that have a rule of their own. */
  readonly #mixed = new Set<string>()

  /** @throws `BANYAN_INVALID_OPTIONS` */
  constructor(rules: readonly RetentionRule[]) {
    const problem = problemOfRules(rules)
    if (problem) throw new BanyanError('BANYAN_INVALID_OPTIONS', `retention: ${problem}`)
    this.all = rules
    for (const rule of rules) {
      if (rule.stream !== undefined) {
        this.#streams.set(rule.stream, rule)
        this.#mixed.add(categoryOf(rule.stream))
      } else if (rule.category !== undefined) this.#categories.set(rule.category, rule)
    }
    this.#everything = rules.find(({ stream, category }) => stream === undefined && category === undefined)
  }

  /** The rule that decides about a stream. */
  of(stream: string, category: string): RetentionRule | undefined {
    return this.#streams.get(stream) ?? this.#categories.get(category) ?? this.#everything
  }

  /** Whether one rule decides about all streams of a category. */
  isOne(category: string): boolean {
    return !this.#mixed.has(category)
  }

  /** Whether no other rule takes streams away from the one for everything. */
  get isAlone(): boolean {
    return this.all.length === 1
  }

  /** Whether a category has a rule of its own. */
  has(category: string): boolean {
    return this.#categories.has(category)
  }
}

/** Milliseconds of an age. */
export function ageOf({ maxAge }: RetentionRule): number | undefined {
  return maxAge === undefined ? undefined : duration(maxAge, 'maxAge')
}
