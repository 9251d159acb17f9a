package main

import (
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// The API server refuses a CRD whose rules might cost more than it allows. Versions count differently: a third is left to them.
func TestRulesLeaveAThirdOfWhatTheyMayCost(t *testing.T) {
	crd := readInstalled(t)
	results, err := cel.Compile(crd.structural, model.SchemaDeclType(crd.structural, true), celconfig.PerCallLimit,
		environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), cel.NewExpressionsEnvLoader())
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range results {
		if result.Error != nil || result.MessageExpressionError != nil {
			t.Fatalf("rule %d: %v %v", i, result.Error, result.MessageExpressionError)
		}
		t.Logf("rule %d: %d, message %d", i, result.MaxCost, result.MessageExpressionMaxCost)
		if limit := uint64(validation.StaticEstimatedCostLimit / 3 * 2); result.MaxCost > limit || result.MessageExpressionMaxCost > limit {
			t.Errorf("rule %d may cost %d, and its message %d: more than %d", i, result.MaxCost, result.MessageExpressionMaxCost, limit)
		}
	}
}
