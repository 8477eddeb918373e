import assert from 'node:assert/strict'
import { BanyanError } from '../../../core/errors.js'
import type { ResourceMetadata } from '../../../coordination/resources/object.js'
import { Promotion, Region } from './kinds.js'
import {
  BAD_REQUEST,
  draft,
  INVALID,
  listed,
  NOT_FOUND,
  refused,
  TOO_LARGE,
  type PromotionDraft,
} from './kit.js'
import type { ResourceCase } from './setup.js'

/** What is not written, and what its writer is told. */
export const refusalCases: readonly ResourceCase[] = [
  {
    name: 'everything that is wrong is told at once, with where it is',
    run: async ({ api }) => {
      const wrong = {
        metadata: {
          name: 'No_Name',
          labels: { 'a b': 'c' },
        },
        spec: { discount: 'much', audience: 'cats', codes: [1] },
      } as unknown as PromotionDraft
      await refused(
        api.create(Promotion, wrong),
        {
          ...INVALID,
          details: { name: 'No_Name', group: 'shop.example' },
          message: /^Promotion.shop.example "No_Name" is invalid: \[/,
          causes: [
            'FieldValueInvalid metadata.name',
            'FieldValueInvalid metadata.labels',
            'FieldValueTypeInvalid spec.discount',
            'FieldValueNotSupported spec.audience',
            'FieldValueTypeInvalid spec.codes[0]',
          ],
        },
        'creating it',
      )
      assert.deepEqual(await listed(api), [], 'what is refused is not written')
    },
  },
  {
    name: 'an update is checked as a whole, and one that is refused changes nothing',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('sale'))
      for (const [discount, cause] of [
        [0, 'FieldValueInvalid spec.discount'],
        [undefined, 'FieldValueRequired spec.discount'],
      ] as const)
        await refused(
          api.update(Promotion, { ...first, spec: { audience: 'all', discount } as never }),
          { ...INVALID, causes: [cause] },
          `a discount of ${discount}`,
        )
      await refused(
        api.updateStatus(Promotion, { ...first, status: { phase: 1 } as never }),
        { ...INVALID, causes: ['FieldValueTypeInvalid status.phase'] },
        'a status that is none',
      )
      assert.deepEqual(await api.get(Promotion, { name: 'sale' }), first)
    },
  },
  {
    name: 'rules are asked, those that compare only where something was',
    run: async ({ api }) => {
      await refused(
        api.create(Promotion, draft('sale', {}, { discount: 60 })),
        { ...INVALID, causes: ['FieldValueInvalid spec.discount'], message: /only members get so much/ },
        'a rule over two fields',
      )
      const first = await api.create(Promotion, draft('sale', {}, { discount: 60, audience: 'members' }))
      await refused(
        api.update(Promotion, { ...first, spec: { discount: 10, audience: 'all' } }),
        { ...INVALID, causes: ['FieldValueInvalid spec.audience'], message: /cannot be changed/ },
        'a rule over time',
      )
    },
  },
  {
    name: 'unknown fields are refused, told, or left out',
    run: async ({ api }) => {
      const odd = { ...draft('sale'), extra: 1, spec: { discount: 1, discuont: 2 } } as PromotionDraft
      const fields = ['unknown field "extra"', 'unknown field "spec.discuont"']
      await refused(
        api.create(Promotion, odd),
        { ...BAD_REQUEST, message: new RegExp(fields.join('.*')) },
        'without being asked to be lenient',
      )
      const warnings: string[] = []
      const onWarning = (warning: string): void => void warnings.push(warning)
      const created = await api.create(Promotion, odd, { fieldValidation: 'Warn', onWarning })
      assert.deepEqual(warnings.sort(), fields)
      assert.deepEqual(created.spec, { discount: 1, audience: 'all' })
      assert.ok(!('extra' in created))
      const again = { ...odd, metadata: created.metadata, spec: { ...odd.spec, discount: 3 } }
      const updated = await api.update(Promotion, again, { fieldValidation: 'Ignore', onWarning })
      assert.deepEqual(updated.spec, { discount: 3, audience: 'all' })
      assert.equal(warnings.length, 2, 'who ignores is told nothing')
    },
  },
  {
    name: 'what cannot be meant is refused',
    run: async ({ api }) => {
      const region: ResourceMetadata = { name: 'eu', namespace: 'a' } as ResourceMetadata
      const of = (more: object) => api.create(Promotion, { ...draft('a'), ...more })
      await refused(of({ kind: 'Other' }), { ...INVALID, causes: ['FieldValueInvalid kind'] }, 'another kind')
      await refused(of({ apiVersion: 'shop.example/v9' }), BAD_REQUEST, 'another version')
      await refused(
        api.create(Promotion, draft('a', { resourceVersion: '1' })),
        BAD_REQUEST,
        'creating a version',
      )
      await refused(
        api.create(Region, { metadata: region, spec: {} }),
        BAD_REQUEST,
        'a namespace for a kind of the cluster',
      )
      assert.deepEqual(await listed(api), [])
    },
  },
  {
    name: 'an update without a version is refused',
    run: async ({ api }) => {
      await api.create(Promotion, draft('sale'))
      await refused(
        api.update(Promotion, draft('sale', {}, { discount: 20 })),
        { ...INVALID, causes: ['FieldValueInvalid metadata.resourceVersion'] },
        'an update that does not say what it was made from',
      )
    },
  },
  {
    name: 'what is too large is refused',
    run: async ({ api }) => {
      const codes = Array.from({ length: 40_000 }, () => 'x'.repeat(100))
      await refused(api.create(Promotion, draft('a', {}, { codes })), TOO_LARGE, '4 MB')
      await refused(api.get(Promotion, { name: 'a' }), NOT_FOUND, 'reading it')
    },
  },
  {
    name: 'a misspelled option is an error',
    run: async ({ api }) => {
      await api.create(Promotion, draft('a'))
      const misspelled = { labelSelectors: 'on' } as object
      for (const ask of [
        () => api.deleteCollection(Promotion, misspelled),
        () => api.list(Promotion, misspelled),
        () => api.delete(Promotion, { name: 'a' }, misspelled),
        () => api.create(Promotion, draft('b'), misspelled),
        () => api.watch(Promotion, misspelled)[Symbol.asyncIterator]().next(),
      ])
        await assert.rejects(
          async () => ask(),
          (error) => error instanceof BanyanError && error.code === 'BANYAN_INVALID_OPTIONS',
        )
      assert.deepEqual(await listed(api), ['a'])
    },
  },
]
