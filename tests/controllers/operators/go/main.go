// A small operator on controller-runtime, for tests: two replicas of it elect a leader, which keeps a ConfigMap for each Gadget;
// all replicas answer webhooks.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

const (
	finalizer = "example.com/gadgets"
	owner     = "gadgets"
	diary     = "gadgets-diary"
)

type reconciler struct {
	client.Client
	id string
}

// Reconcile keeps the ConfigMap of a Gadget, and writes into the diary when one goes.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var gadget Gadget
	if err := r.Get(ctx, request.NamespacedName, &gadget); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !gadget.DeletionTimestamp.IsZero() {
		if !controllerutil.ContainsFinalizer(&gadget, finalizer) {
			return ctrl.Result{}, nil
		}
		note := corev1ac.ConfigMap(diary, gadget.Namespace).WithData(map[string]string{gadget.Name: "gone, says " + r.id})
		if err := r.Apply(ctx, note, client.FieldOwner(owner+"-"+gadget.Name)); err != nil {
			return ctrl.Result{}, err
		}
		controllerutil.RemoveFinalizer(&gadget, finalizer)
		return ctrl.Result{}, r.Update(ctx, &gadget)
	}
	if controllerutil.AddFinalizer(&gadget, finalizer) {
		if err := r.Update(ctx, &gadget); err != nil {
			return ctrl.Result{}, err
		}
	}
	reference := metav1ac.OwnerReference().WithAPIVersion(v1.String()).WithKind("Gadget").WithName(gadget.Name).
		WithUID(gadget.UID).WithController(true).WithBlockOwnerDeletion(true)
	kept := corev1ac.ConfigMap(gadget.Name, gadget.Namespace).WithOwnerReferences(reference).
		WithData(map[string]string{"size": gadget.Spec.Size, "by": r.id})
	if err := r.Apply(ctx, kept, client.FieldOwner(owner), client.ForceOwnership); err != nil {
		return ctrl.Result{}, err
	}
	if gadget.Status.Size == gadget.Spec.Size {
		return ctrl.Result{}, nil
	}
	gadget.Status.Size = gadget.Spec.Size
	return ctrl.Result{}, r.Status().Update(ctx, &gadget)
}

func run() error {
	id := flag.String("id", "", "the name of this replica")
	port := flag.Int("port", 0, "the port of the webhooks")
	certificates := flag.String("certificates", "", "the folder with tls.crt and tls.key")
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))

	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	addGadgets(scheme)
	lease, renew, retry := 3*time.Second, 2*time.Second, 500*time.Millisecond
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:                  scheme,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		LeaderElection:          true,
		LeaderElectionID:        "gadgets.example.com",
		LeaderElectionNamespace: "default",
		LeaseDuration:           &lease,
		RenewDeadline:           &renew,
		RetryPeriod:             &retry,
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: "127.0.0.1", Port: *port, CertDir: *certificates,
		}),
	})
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(manager).For(&Gadget{}).Owns(&corev1.ConfigMap{}).
		Complete(&reconciler{Client: manager.GetClient(), id: *id})
	if err != nil {
		return err
	}
	err = ctrl.NewWebhookManagedBy(manager).For(&Gadget{}).WithDefaulter(hooks{}).WithValidator(hooks{}).Complete()
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
