import type { RetentionReport, RetentionRule } from '../../events/index.js'
import { retain } from '../../events/retention/index.js'
import type { Duration } from '../../core/duration.js'
import { UsageError } from '../usage-error.js'
import { confirm } from './confirm.js'
import { fileError } from './input.js'
import type { Place, PlaceOptions } from './place.js'
import { countOf as countOption } from './selection.js'
import { onLog } from './session.js'
import { countOf } from './show/numbers.js'
import { printable } from './show/printable.js'
import { heldText } from './truncate.js'

/** Options of `banyan events retain`. */
export interface RetainCommandOptions extends PlaceOptions {
  stream?: string
  category?: string
  maxAge?: string
  maxEvents?: string
  archive?: string
  yes?: true
  json?: true
}

/** `banyan events retain`: removes once what a rule, or those of the configuration, do not keep. */
export async function retainOnce(options: RetainCommandOptions): Promise<void> {
  const given = ruleOf(options)
  await onLog(options, async ({ log, place, output, signal }) => {
    const { rules, archive } = rulesOf(given, options, place)
    const where = archive === undefined ? 'for good' : `and keeps it in ${archive}`
    const facts = [`This removes from ${place.name} ${where}:`, ...rules.map((rule) => `${ruleText(rule)}.`)]
    if (!(await confirm(facts, options.yes === true, signal))) return
    const report = await retain(log, rules, { signal, ...(archive !== undefined && { archive }) }).catch(
      (error: unknown) => {
        throw fileError('write', archive ?? '', error)
      },
    )
    if (options.json) output.json({ log: place.name, ...report })
    else for (const line of reportLines(report)) output.add(line)
  })
}

/** The rule on the command line; undefined if there is none. */
function ruleOf({ stream, category, maxAge, maxEvents }: RetainCommandOptions): RetentionRule | undefined {
  if (maxAge === undefined && maxEvents === undefined) {
    if (stream === undefined && category === undefined) return undefined
    throw new UsageError('say what is kept, with --max-age or --max-events')
  }
  return {
    ...(stream !== undefined && { stream }),
    ...(category !== undefined && { category }),
    ...(maxAge !== undefined && { maxAge: maxAge as Duration }),
    ...(maxEvents !== undefined && { maxEvents: countOption(maxEvents, '--max-events') }),
  }
}

function rulesOf(
  given: RetentionRule | undefined,
  { archive }: RetainCommandOptions,
  { events, by }: Place,
): { rules: readonly RetentionRule[]; archive?: string } {
  if (given) return { rules: [given], ...(archive !== undefined && { archive }) }
  const rules = events?.retention
  if (!rules)
    throw new UsageError(
      `what is to be kept? Say --max-age or --max-events; ${by} has no \`events.retention\``,
    )
  const directory = archive ?? rules.archive
  return { rules: rules.rules, ...(directory !== undefined && { archive: directory }) }
}

function ruleText({ stream, category, maxAge, maxEvents }: RetentionRule): string {
  const of =
    stream !== undefined
      ? `of the stream ${printable(stream)}`
      : category !== undefined
        ? `of the category ${printable(category)}`
        : 'of every stream that has no other rule'
  const what = [
    ...(maxAge === undefined ? [] : [`events that were recorded more than ${maxAge} ago`]),
    ...(maxEvents === undefined ? [] : [`all but the last ${countOf(maxEvents, 'event')} of each`]),
  ]
  return what.length === 0 ? `nothing ${of}` : `${what.join(' and ')}, ${of}`
}

function* reportLines({ removed, rules }: RetentionReport): Generator<string> {
  for (const { rule, removed, heldBy, archives } of rules) {
    yield `${countOf(removed, 'event')} removed: ${ruleText(rule)}`
    for (const file of archives) yield `  kept in ${file}`
    if (heldBy !== undefined) yield `  ${heldText(heldBy)}`
  }
  if (rules.length > 1) yield `${countOf(removed, 'event')} removed in all`
}
