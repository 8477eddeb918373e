import assert from 'node:assert/strict'
import type { PatchOptions, ResourceApi, ResourcePatch } from '../../../coordination/resources/api.js'
import type { Resource } from '../../../coordination/resources/object.js'
import { Promotion, Region, type PromotionSpec, type PromotionStatus } from './kinds.js'
import { BAD_REQUEST, CONFLICT, INVALID, NOT_FOUND, refused, type Refusal } from './kit.js'
import type { ResourceCase } from './setup.js'

type Written = Resource<PromotionSpec, PromotionStatus>

const NAME = { name: 'sale' }
// Over HTTP nobody can tell them from other bad requests.
const NO_PATCH: Refusal = { reason: 'BadRequest', status: 400 }
const UNFIT: Refusal = { reason: 'Invalid', status: 422 }
const TAKEN: Refusal = { code: 'BANYAN_APPLY_CONFLICT', reason: 'Conflict', status: 409 }

const merge = (patch: object): ResourcePatch => ({ type: 'merge', patch })
const apply = (spec: Partial<PromotionSpec>, metadata: object = {}): ResourcePatch => ({
  type: 'apply',
  patch: { metadata, spec },
})

function create(api: ResourceApi, spec: Partial<PromotionSpec> = {}): Promise<Written> {
  const draft = { metadata: NAME, spec: { discount: 10, ...spec } }
  return api.create(Promotion, draft, { fieldManager: 'creator' })
}

function patch(api: ResourceApi, given: ResourcePatch, options: PatchOptions = {}): Promise<Written> {
  return api.patch(Promotion, NAME, given, options)
}

/** Who has what, without when. */
function managers({ metadata }: Resource): Record<string, unknown> {
  return Object.fromEntries(
    (metadata.managedFields ?? []).map(({ manager, operation, subresource, fieldsV1 }) => [
      [manager, operation, subresource].filter(Boolean).join(' '),
      fieldsV1,
    ]),
  )
}

/** What patches do, and the book of who has which fields. */
export const patchCases: readonly ResourceCase[] = [
  {
    name: 'a merge patch replaces what is in it, and takes out what is null',
    run: async ({ api }) => {
      const first = await create(api, { codes: ['a', 'b'], until: 5 })
      const next = await patch(api, merge({ spec: { codes: ['c'], until: null } }))
      assert.deepEqual(next.spec, { discount: 10, audience: 'all', codes: ['c'] })
      assert.deepEqual([next.metadata.uid, next.metadata.generation], [first.metadata.uid, 2])
      assert.deepEqual(await api.get(Promotion, NAME), next)
    },
  },
  {
    name: 'a JSON patch is done as a whole, or not at all',
    run: async ({ api }) => {
      const first = await create(api, { codes: ['a'] })
      const next = await patch(api, {
        type: 'json',
        patch: [
          { op: 'test', path: '/spec/codes/0', value: 'a' },
          { op: 'add', path: '/spec/codes/-', value: 'b' },
          { op: 'add', path: '/metadata/labels', value: { on: '' } },
        ],
      })
      assert.deepEqual([next.spec.codes, next.metadata.labels], [['a', 'b'], { on: '' }])
      const { resourceVersion } = first.metadata
      const half: ResourcePatch = {
        type: 'json',
        patch: [
          { op: 'remove', path: '/spec/codes' },
          { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
        ],
      }
      await refused(patch(api, half), UNFIT, 'a test that fails')
      assert.deepEqual(await api.get(Promotion, NAME), next)
    },
  },
  {
    name: 'what is no patch, or leaves no resource of the kind, is refused',
    run: async ({ api }) => {
      const first = await create(api)
      for (const [given, refusal] of [
        [{ type: 'strategic', patch: {} }, BAD_REQUEST],
        [{ type: 'merge', patch: 'text' }, NO_PATCH],
        [{ type: 'merge', patch: [] }, NO_PATCH],
        [{ type: 'json', patch: {} }, NO_PATCH],
        [merge({ metadata: { name: 'other' } }), BAD_REQUEST],
        [merge({ kind: 'Other' }), INVALID],
        [merge({ spec: { discuont: 1 } }), [BAD_REQUEST, INVALID]],
        [apply({}, { managedFields: [{ manager: 'me' }] }), NO_PATCH],
        [merge({ spec: { discount: 100 } }), { ...INVALID, causes: ['FieldValueInvalid spec.discount'] }],
      ] as const)
        await refused(patch(api, given as ResourcePatch), refusal, JSON.stringify(given))
      await refused(patch(api, merge({}), { force: true }), BAD_REQUEST, 'force without an apply')
      await refused(api.patch(Promotion, { name: 'none' }, merge({})), NOT_FOUND, 'a patch of nothing')
      await refused(
        api.patch(Region, { name: 'eu' }, merge({}), { subresource: 'status' }),
        BAD_REQUEST,
        'a patch of a status that there cannot be',
      )
      assert.deepEqual(await api.get(Promotion, NAME), first)
    },
  },
  {
    name: 'a patch is made anew if somebody else was faster, unless it names a version',
    run: async ({ api, another }) => {
      const first = await create(api, { discount: 1 })
      const apis = [api, await another()]
      const labels = ['a', 'b', 'c', 'd', 'e']
      await Promise.all(
        labels.map((label, index) =>
          patch(apis[index % apis.length]!, merge({ metadata: { labels: { [label]: '' } } })),
        ),
      )
      const { metadata } = await api.get(Promotion, NAME)
      assert.deepEqual(Object.keys(metadata.labels ?? {}).sort(), labels)
      const { resourceVersion } = first.metadata
      for (const type of ['merge', 'apply'] as const) {
        const old = { type, patch: { metadata: { resourceVersion }, spec: { discount: 2 } } }
        const options = type === 'apply' ? { force: true } : {}
        await refused(patch(api, old, options), CONFLICT, `a patch of an old version (${type})`)
      }
      await refused(
        patch(api, merge({ metadata: { uid: 'another' } })),
        [CONFLICT, INVALID],
        'a patch of another',
      )
    },
  },
  {
    name: 'a patch of the status touches nothing else, and one of the rest not the status',
    run: async ({ api }) => {
      const first = await create(api)
      const change = {
        metadata: { labels: { a: 'b' } },
        spec: { discount: 20 },
        status: { phase: 'Ready' },
      }
      const subresource = 'status'
      const judged = await patch(api, merge(change), { subresource, fieldManager: 'judge' })
      assert.deepEqual([judged.spec, judged.status], [first.spec, { phase: 'Ready' }])
      assert.deepEqual([judged.metadata.generation, judged.metadata.labels], [1, undefined])
      assert.deepEqual(managers(judged)['judge Update status'], {
        'f:status': { '.': {}, 'f:phase': {} },
      })
      const changed = await patch(api, merge({ ...change, status: { phase: 'Gone' } }))
      assert.deepEqual([changed.spec.discount, changed.status], [20, { phase: 'Ready' }])
      const applied = await patch(
        api,
        { type: 'apply', patch: { ...change, status: { observedGeneration: 2 } } },
        { subresource, fieldManager: 'applier' },
      )
      assert.deepEqual(applied.status, { phase: 'Ready', observedGeneration: 2 })
      assert.deepEqual(managers(applied)['applier Apply status'], {
        'f:status': { 'f:observedGeneration': {} },
      })
    },
  },
  {
    name: 'whoever writes a field has it, and a write without the book does not wipe it out',
    run: async ({ api }) => {
      const first = await create(api)
      const fields = { '.': {}, 'f:audience': {}, 'f:discount': {} }
      assert.deepEqual(managers(first), { 'creator Update': { 'f:spec': fields } })
      const { name, resourceVersion } = first.metadata
      const next = await api.update(
        Promotion,
        { metadata: { name, resourceVersion }, spec: { ...first.spec, discount: 11 } },
        { fieldManager: 'updater' },
      )
      assert.deepEqual(managers(next), {
        'creator Update': { 'f:spec': { '.': {}, 'f:audience': {} } },
        'updater Update': { 'f:spec': { 'f:discount': {} } },
      })
      const judged = await api.updateStatus(
        Promotion,
        { ...next, status: { phase: 'Ready' } },
        { fieldManager: 'judge' },
      )
      assert.deepEqual(managers(judged)['judge Update status'], {
        'f:status': { '.': {}, 'f:phase': {} },
      })
      const anew = await patch(api, merge({ metadata: { managedFields: [{}] } }))
      assert.equal(anew.metadata.managedFields, undefined, 'the book can be begun anew')
      await refused(
        api.create(
          Promotion,
          { metadata: { name: 'a' }, spec: { discount: 1 } },
          { fieldManager: 'x'.repeat(129) },
        ),
        INVALID,
        'a manager with too long a name',
      )
    },
  },
  {
    name: 'an apply makes what is not there, and its manager has what it says and nothing else',
    run: async ({ api }) => {
      const made = await patch(api, apply({ discount: 5 }), { fieldManager: 'a' })
      assert.deepEqual([made.spec, made.metadata.generation], [{ discount: 5, audience: 'all' }, 1])
      assert.deepEqual(managers(made), { 'a Apply': { 'f:spec': { 'f:discount': {} } } })
      const other = { name: 'other' }
      const status: ResourcePatch = { type: 'apply', patch: { metadata: {}, status: {} } }
      await refused(
        api.patch(Promotion, other, status, { subresource: 'status' }),
        NOT_FOUND,
        'a status of what is not there',
      )
    },
  },
  {
    name: 'applying the same again writes nothing',
    run: async ({ api, another }) => {
      const given = apply({ discount: 5, codes: ['x'] }, { labels: { l: '1' }, annotations: { a: '1' } })
      const first = await patch(api, given, { fieldManager: 'a' })
      assert.deepEqual(await patch(api, given, { fieldManager: 'a' }), first)
      const [one, two] = await Promise.all(
        [api, await another()].map((each) =>
          each.patch(Promotion, { name: 'twice' }, given, { fieldManager: 'b' }),
        ),
      )
      assert.deepEqual(one, two, 'nor if two do it at once')
    },
  },
  {
    name: 'an apply against others names every field and who has it; force takes over',
    run: async ({ api }) => {
      await create(api, { discount: 10, until: 5 })
      await patch(api, apply({ audience: 'all' }), { fieldManager: 'b' })
      const next = apply({ discount: 20, until: 6, audience: 'all' })
      await refused(
        patch(api, next, { fieldManager: 'a' }),
        {
          ...TAKEN,
          causes: ['FieldManagerConflict .spec.discount', 'FieldManagerConflict .spec.until'],
          message: /"creator"/,
        },
        'other values than somebody has written',
      )
      const forced = await patch(api, next, { fieldManager: 'a', force: true })
      assert.deepEqual(forced.spec, { discount: 20, until: 6, audience: 'all' })
      assert.deepEqual(managers(forced), {
        'a Apply': { 'f:spec': { 'f:audience': {}, 'f:discount': {}, 'f:until': {} } },
        'b Apply': { 'f:spec': { 'f:audience': {} } },
        'creator Update': { 'f:spec': { '.': {}, 'f:audience': {} } },
      })
    },
  },
  {
    name: 'what an applier leaves out goes, unless somebody else has it',
    run: async ({ api }) => {
      await patch(api, apply({ discount: 5, until: 1, codes: ['x'] }), { fieldManager: 'a' })
      await patch(api, apply({ until: 1 }), { fieldManager: 'b' })
      const next = await patch(api, apply({ discount: 5 }), { fieldManager: 'a' })
      assert.deepEqual(next.spec, { discount: 5, audience: 'all', until: 1 })
    },
  },
  {
    name: 'a dry run of a patch says what would be, and writes nothing',
    run: async ({ api }) => {
      const dryRun = true
      const would = await patch(api, apply({ discount: 5 }), { dryRun })
      assert.deepEqual(would.spec, { discount: 5, audience: 'all' })
      await refused(api.get(Promotion, NAME), NOT_FOUND, 'what would be made')
      const first = await create(api)
      const next = await patch(api, merge({ spec: { discount: 3 } }), { dryRun })
      assert.deepEqual([next.spec.discount, next.metadata.generation], [3, 2])
      assert.deepEqual(await api.get(Promotion, NAME), first)
    },
  },
]
