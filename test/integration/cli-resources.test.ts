import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { render } from '../../src/cli/status/render.js'
import type { NodeState } from '../../src/node/node.js'
import { Cli, run } from '../support/cli.js'
import { startCoordination } from '../support/coordination-node.js'
import { closeAll } from '../support/gateway.js'
import { notesModule } from '../support/notes-module.js'

/** What people do with resources of a node, one after the other. */

let directory: string
let admin: string
let ask: Awaited<ReturnType<typeof startCoordination>>['ask']

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'banyan-cli-resources-'))
  const controllers = { measuring: { module: `${notesModule()}#measuring` } }
  ;({ admin, ask } = await startCoordination({ driver: 'memory' }, { controllers }))
})
afterAll(async () => {
  await closeAll()
  rmSync(directory, { recursive: true })
})

const file = (name: string, content: string): string => {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}
const banyan = (...args: string[]) => run(...args, '--admin', admin)
const note = (name: string, spec: string): string =>
  `apiVersion: notes.example/v1\nkind: Note\nmetadata:\n  name: ${name}\nspec: ${spec}\n`

test('without a kind, the kinds; what there is not is told', async () => {
  const [kinds, none, wrong] = await Promise.all([
    banyan('get'),
    banyan('get', 'notes'),
    banyan('get', 'ntoes'),
  ])
  expect(kinds.stdout).toBe(
    'NAME   SHORT  API VERSION       NAMESPACED  KIND  CATEGORIES\nnotes  nt     notes.example/v1  yes         Note  all\n',
  )
  expect(none).toEqual({ code: 0, stdout: '', stderr: '' })
  expect([wrong.code, wrong.stderr]).toEqual([
    1,
    'there is no kind ntoes here; did you mean notes?  [BANYAN_UNKNOWN_KIND]\n',
  ])
})

test('files are applied one by one, and what is refused says why and where', async () => {
  const mistaken = file('mistaken.yaml', `kind: Note\n---\n- a\n---\n${note('one', '{ text: hello }')}`)
  const refused = await banyan('apply', '-f', mistaken)
  expect([refused.code, refused.stdout, refused.stderr]).toEqual([
    1,
    '',
    `${mistaken}:1: is no resource: it has no apiVersion, no metadata.name\n${mistaken}:3: is no resource: a map is expected  [BANYAN_RESOURCE_BAD_REQUEST]\n`,
  ])

  const two = file(
    'two.yaml',
    `${note('one', '{ text: hello }')}---\n${note('two', '{ text: 7, colour: red }')}`,
  )
  const partly = await banyan('apply', '-f', two)
  expect([partly.code, partly.stdout]).toEqual([1, 'note.notes.example/one created\n'])
  expect(partly.stderr).toMatch(/^\S+two\.yaml:7: Note two: .*unknown field "spec\.colour"/)

  const one = file('one.yaml', note('one', '{ text: hello }'))
  const changed = file('changed.yaml', note('one', '{ text: goodbye, stars: 5 }'))
  const [again, different, dry] = await Promise.all([
    banyan('apply', '-f', one),
    banyan('diff', '-f', changed),
    banyan('apply', '-f', changed, '--dry-run'),
  ])
  expect(again.stdout).toBe('note.notes.example/one unchanged\n')
  expect([different.code, different.stdout]).toEqual([
    1,
    '~ Note.one\n    ~ spec.text: hello -> goodbye\n    ~ spec.stars: 1 -> 5\n',
  ])
  expect(dry.stdout).toBe('note.notes.example/one would be configured\n')

  const conflict = await banyan('apply', '-f', changed, '--manager', 'somebody')
  expect([conflict.code, conflict.stderr]).toEqual([
    1,
    expect.stringMatching(
      /changed\.yaml:1: Note one: .*conflict.*"banyan".*spec\.text\. .*--force/s,
    ) as string,
  ])
  expect((await banyan('apply', '-f', changed, '--manager', 'somebody', '--force')).stdout).toBe(
    'note.notes.example/one configured\n',
  )
})

test('a resource as a table, as a whole, and with all that is known of it', async () => {
  await expect.poll(async () => (await banyan('get', 'nt/one', '--json')).stdout).toContain('"length": 7')
  const [table, yaml, described] = await Promise.all([
    banyan('get', 'all', '-A'),
    banyan('get', 'note', 'one', '-o', 'yaml'),
    banyan('describe', 'note', 'one'),
  ])
  expect(table.stdout).toMatch(/^NAMESPACE {2}NAME {2}AGE\ndefault {4}one {3}\d+s\n$/)
  expect(yaml.stdout).toContain('spec:\n  text: goodbye\n  stars: 5\nstatus:\n  length: 7\n')
  expect(yaml.stdout).not.toContain('managedFields')
  expect(described.stdout).toMatch(/^note\.notes\.example\/one\nnamespace {3}default\ncreated /)
  expect(described.stdout).toMatch(/^Ready {6}True {4}Measured .* it was measured$/m)
  expect(described.stdout).toMatch(/^somebody {3}Apply .*spec\.stars, spec\.text$/m)
  expect(described.stdout).toMatch(/^measuring {2}Update of status .*status\.length/m)
})

test('what may stand in a kind; all else is the id of a request', async () => {
  const [spec, wrong, request] = await Promise.all([
    banyan('explain', 'notes.notes.example.spec'),
    banyan('explain', 'notes.spec.stras'),
    banyan('explain', 'no-such-request'),
  ])
  expect(spec.stdout).toMatch(/^Note\.spec {2}notes\.example\/v1, object\n/)
  expect(spec.stdout).toContain(
    '  text  string, required\n      What it says.\n  stars  integer\n      default 1\n',
  )
  expect(wrong.stderr).toContain('notes.spec has no field stras; did you mean stars?')
  expect(request.stderr).toContain('no refused or failed request `no-such-request` is remembered')
})

test('what becomes of resources is told live, and they go when their controller lets them', async () => {
  const watch = new Cli('watch', 'notes', '--admin', admin)
  const events = new Cli('get', 'notes', '-w', '--json', '--admin', admin)
  await Promise.all([watch.printed(/^ADDED +one/m), events.printed(/"type":"ADDED"/)])
  const failing = file('failing.yaml', note('failing', '{ text: boom }'))
  await banyan('apply', '-f', failing)
  await watch.printed(/^ADDED +failing/m)
  await expect
    .poll(() => ask('/api/state'))
    .toMatchObject({
      resources: {
        kinds: ['notes.notes.example'],
        controllers: {
          measuring: {
            resource: 'notes.notes.example',
            kind: 'working',
            failing: 1,
            problem: 'default/failing: it went boom',
          },
        },
      },
    })
  expect(render((await ask('/api/state')) as NodeState, Date.now(), 200)).toMatch(
    /^controller measuring {2}notes\.notes\.example {2}working {2}1 failing: default\/failing: it went boom$/m,
  )
  const unsaid = await banyan('delete', 'notes', '--all')
  expect([unsaid.code, unsaid.stderr]).toEqual([
    2,
    expect.stringContaining('2 are deleted: note/failing, note/one. There is nobody to ask'),
  ])
  const one = await banyan('delete', '-f', failing)
  expect(one.stdout).toBe('note.notes.example/failing deleted\n')
  const rest = await banyan('delete', 'notes', '--all', '--yes')
  expect(rest.stdout).toBe('note.notes.example/one deleted\n')
  await watch.printed(/^DELETED +one/m)
  watch.process.kill('SIGINT')
  events.process.kill('SIGINT')
  expect((await watch.finish()).code).toBe(0)
  const types = (await events.finish()).stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { type: string }).type)
  expect(new Set(types)).toEqual(new Set(['ADDED', 'MODIFIED', 'DELETED']))
  await banyan('apply', '-f', failing)
  const some = await banyan('delete', 'note', 'one', 'failing')
  expect(some.stderr).toMatch(/^note\.notes\.example\/one: .* not found {2}\[BANYAN_RESOURCE_NOT_FOUND\]$/m)
  expect([some.code, some.stdout]).toEqual([1, 'note.notes.example/failing deleted\n'])
})

test('a node without kinds says how to have some', async () => {
  const { admin: other } = await startCoordination({ driver: 'memory' })
  const { code, stderr } = await run('get', 'notes', '--admin', other)
  expect([code, stderr]).toEqual([
    1,
    'the node serves no resources: `kinds` and `controllers` of its configuration name some  [BANYAN_ADMIN_REFUSED]\n',
  ])
})
