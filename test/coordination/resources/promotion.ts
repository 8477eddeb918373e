export {
  Pool,
  Promotion,
  Region,
  type PromotionSpec,
  type PromotionStatus,
} from '../../../src/testing/resources/conformance/kinds.js'
