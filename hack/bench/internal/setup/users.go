package setup

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ServiceAccount is who a contestant is to the API server.
type ServiceAccount struct{ Namespace, Name string }

var (
	// Controller is the controller's own, with the permissions that it is installed with.
	Controller = ServiceAccount{"sequential-operator-system", "sequential-operator-controller-manager"}
	// IdealLoop is that of the ideal Job loop.
	IdealLoop = ServiceAccount{"sequentialjob-bench", "ideal-loop"}
)

// User is its name in the audit log.
func (s ServiceAccount) User() string { return "system:serviceaccount:" + s.Namespace + ":" + s.Name }

// WriteKubeconfig writes a kubeconfig for a service account.
func (c *Cluster) WriteKubeconfig(ctx context.Context, account ServiceAccount, file string) error {
	hours := int64(12 * 60 * 60)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hours}}
	answer, err := c.Kube.CoreV1().ServiceAccounts(account.Namespace).CreateToken(ctx, account.Name, request, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	const name = "bench"
	return clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{name: {
			Server: c.config.Host, CertificateAuthority: c.config.CAFile, CertificateAuthorityData: c.config.CAData,
		}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: answer.Status.Token}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, file)
}
