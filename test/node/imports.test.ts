import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'

/** Our modules that importing a path of the package loads, without `dist/`. */
function loadedBy(path: string): string[] {
  const output = execFileSync(process.execPath, ['test/support/list-modules.mjs', path], { encoding: 'utf8' })
  return (JSON.parse(output) as string[])
    .filter((url) => !url.startsWith('node:'))
    .map((url) => url.replace(/^.*\/dist\//, ''))
}

describe('importing one pattern loads nothing of the others', () => {
  test.each(['circuit-breaker', 'retry', 'timeout', 'bulkhead', 'rate-limit', 'hedge', 'fallback'])(
    'banyan/traffic/%s',
    (name) => {
      const loaded = loadedBy(`banyan/traffic/${name}`)
      expect(loaded).toContain(`traffic/policies/${name}.js`)
      const foreign = loaded.filter(
        (file) =>
          !/^core\/|^traffic\/(policy|errors|budget|latency-histogram)\.js$/.test(file) &&
          !file.startsWith(`traffic/policies/${name}`),
      )
      expect(foreign).toEqual([])
    },
  )

  test('banyan/traffic: policies alone, no gateway, no data plane, no package', () => {
    const foreign = loadedBy('banyan/traffic').filter(
      (file) => !/^(core|traffic)\//.test(file) || /^traffic\/(gateway|http|balancing)\//.test(file),
    )
    expect(foreign).toEqual([])
  })

  test('banyan/traffic/gateway and banyan/config: no package', () => {
    for (const path of ['banyan/traffic/gateway', 'banyan/config']) {
      expect(loadedBy(path).filter((file) => !/^(core|traffic|node)\//.test(file))).toEqual([])
    }
  })
})
