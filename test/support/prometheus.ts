/** One line of the exposition. */
export interface ExposedSample {
  name: string
  labels: Record<string, string>
  value: number
}

/** Everything under one `# TYPE`. */
export interface ExposedFamily {
  help: string
  type: string
  samples: ExposedSample[]
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped']
const SUFFIXES: Record<string, RegExp> = { histogram: /_(bucket|sum|count)$/, summary: /_(sum|count)$/ }

/**
 * Reads the Prometheus text format 0.0.4 as strictly as its description allows: every family once and in one piece,
 * help and type before its samples, names and escapes valid, no series twice, histograms cumulative up to `+Inf`.
 *
 * @throws for anything else
 */
export function parseExposition(text: string): Map<string, ExposedFamily> {
  const fail = (line: string, why: string): never => {
    throw new Error(`${why}: ${line}`)
  }
  const families = new Map<string, ExposedFamily>()
  const seen = new Set<string>()
  let current: ExposedFamily | undefined
  let currentName = ''
  if (!text.endsWith('\n')) fail(text.slice(-80), 'the last line does not end')
  for (const line of text.split('\n')) {
    if (line === '') continue
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line)
    if (comment) {
      const [, kind, name = '', rest = ''] = comment
      if (!NAME.test(name)) fail(line, 'not a name')
      if (kind === 'HELP') {
        if (families.has(name)) fail(line, 'a family twice')
        if (/\\[^\\n]/.test(rest.replaceAll('\\\\', ''))) fail(line, 'an unknown escape')
        current = { help: rest.replace(/\\(.)/g, unescape), type: '', samples: [] }
        currentName = name
        families.set(name, current)
      } else {
        if (currentName !== name || current?.type !== '') fail(line, 'a type out of place')
        if (!TYPES.includes(rest)) fail(line, 'an unknown type')
        current!.type = rest
      }
      continue
    }
    if (line.startsWith('#')) fail(line, 'an unknown comment')
    const sample = parseSample(line) ?? fail(line, 'not a sample')
    if (!current?.type) fail(line, 'a sample without a type')
    if (sample.name.replace(SUFFIXES[current!.type] ?? /$^/, '') !== currentName)
      fail(line, `a sample outside of ${currentName}`)
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()])
    if (seen.has(key)) fail(line, 'a series twice')
    seen.add(key)
    current!.samples.push(sample)
  }
  for (const [name, family] of families) if (family.type === 'histogram') checkHistogram(name, family)
  return families
}

/** The value of one series; `undefined` if there is none. */
export function valueOf(
  families: Map<string, ExposedFamily>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const samples = [...families.values()].flatMap((family) => family.samples)
  const wanted = JSON.stringify(Object.entries(labels).sort())
  return samples.find(
    (each) => each.name === name && JSON.stringify(Object.entries(each.labels).sort()) === wanted,
  )?.value
}

function parseSample(line: string): ExposedSample | undefined {
  const match =
    /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|Inf)|NaN|Nan)$/.exec(line)
  if (!match) return undefined
  const [, name = '', inner = '', number = ''] = match
  const labels: Record<string, string> = {}
  let rest = inner
  while (rest !== '') {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,(?=.)|$)/.exec(rest)
    const name = label?.[1]
    if (name === undefined || Object.hasOwn(labels, name)) return undefined
    labels[name] = label![2]!.replace(/\\(.)/g, unescape)
    rest = rest.slice(label![0].length)
  }
  return { name, labels, value: Number(number.replace('Inf', 'Infinity')) }
}

function unescape(_: string, escaped: string): string {
  return escaped === 'n' ? '\n' : escaped
}

function checkHistogram(name: string, { samples }: ExposedFamily): void {
  const bySeries = new Map<string, ExposedSample[]>()
  for (const sample of samples) {
    const key = JSON.stringify(
      Object.entries(sample.labels)
        .filter(([name]) => name !== 'le')
        .sort(),
    )
    bySeries.set(key, [...(bySeries.get(key) ?? []), sample])
  }
  for (const [key, series] of bySeries) {
    const buckets = series.filter((each) => each.name === `${name}_bucket`)
    const count = series.find((each) => each.name === `${name}_count`)
    const bounds = buckets.map(({ labels }) => Number(labels['le']!.replace('Inf', 'Infinity')))
    const fine =
      buckets.every(({ value }, index) => index === 0 || value >= buckets[index - 1]!.value) &&
      bounds.every((bound, index) => index === 0 || bound > bounds[index - 1]!) &&
      bounds.at(-1) === Infinity &&
      count?.value === buckets.at(-1)!.value &&
      series.some((each) => each.name === `${name}_sum`)
    if (!fine) throw new Error(`${name}${key} is no histogram`)
  }
}
