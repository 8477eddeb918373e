import { badRequest } from '../error.js'
import { labelValueMistake, qualifiedNameMistake } from '../names.js'

/** Whether labels are selected. */
export type LabelMatch = (labels: Readonly<Record<string, string>> | undefined) => boolean

/** `key in (a, b)` and `key notin (a, b)`; `!key`; `key = a`, `key == a` and `key != a`; `key > 1` and `key < 1`; `key`. */
const SET = /^(?<key>[^\s!=<>,()]+)\s+(?<operator>in|notin)\s*\((?<values>[^()]*)\)$/
const ABSENT = /^!\s*(?<key>[^\s!=<>,()]+)$/
const COMPARED = /^(?<key>[^\s!=<>,()]+)\s*(?<operator>==|=|!=|>|<)\s*(?<value>[^\s!=<>,()]*)$/
const PRESENT = /^(?<key>[^\s!=<>,()]+)$/

/**
 * Reads a selector of labels, as Kubernetes writes them; all its requirements must be met.
 *
 * @param selector - empty selects everything
 * @throws `BANYAN_RESOURCE_BAD_REQUEST`
 */
export function parseLabelSelector(selector: string): LabelMatch {
  if (selector.trim() === '') return () => true
  // A comma inside of parentheses is one between values.
  const matches = selector.split(/,(?![^()]*\))/).map((part) => requirement(part.trim(), selector))
  return (labels = {}) => matches.every((match) => match(labels))
}

type Requirement = (labels: Readonly<Record<string, string>>) => boolean

function requirement(part: string, selector: string): Requirement {
  const groups = (SET.exec(part) ?? ABSENT.exec(part) ?? COMPARED.exec(part) ?? PRESENT.exec(part))?.groups
  if (!groups) throw refused(selector, `${JSON.stringify(part)} is no requirement`)
  const { operator, values, value } = groups
  const key = groups['key']!
  const mistake = qualifiedNameMistake(key)
  if (mistake !== undefined) throw refused(selector, `${key}: ${mistake}`)
  const has: Requirement = (labels) => Object.hasOwn(labels, key)
  if (operator === undefined) return part.startsWith('!') ? (labels) => !has(labels) : has
  if (operator === '>' || operator === '<') {
    const bound = value === '' ? NaN : Number(value)
    if (!Number.isInteger(bound)) throw refused(selector, `${key} is compared with what is no whole number`)
    const sign = operator === '>' ? 1 : -1
    return (labels) => has(labels) && /^-?\d+$/.test(labels[key]!) && sign * (Number(labels[key]) - bound) > 0
  }
  const wanted = new Set(values === undefined ? [value!] : values.split(',').map((each) => each.trim()))
  for (const each of wanted) {
    const wrong = labelValueMistake(each)
    if (wrong !== undefined) throw refused(selector, `${each}: ${wrong}`)
  }
  // What lacks the label has no value that is unwanted.
  if (operator === '!=' || operator === 'notin') return (labels) => !has(labels) || !wanted.has(labels[key]!)
  return (labels) => has(labels) && wanted.has(labels[key]!)
}

function refused(selector: string, why: string): Error {
  return badRequest(`unable to parse the label selector ${JSON.stringify(selector)}: ${why}`)
}
