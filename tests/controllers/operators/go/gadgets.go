package main

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

var (
	v1 = schema.GroupVersion{Group: "example.com", Version: "v1"}
	v2 = schema.GroupVersion{Group: "example.com", Version: "v2"}
)

func addGadgets(scheme *runtime.Scheme) {
	scheme.AddKnownTypeWithName(v1.WithKind("Gadget"), &Gadget{})
	scheme.AddKnownTypeWithName(v1.WithKind("GadgetList"), &GadgetList{})
	scheme.AddKnownTypeWithName(v2.WithKind("Gadget"), &WideGadget{})
	metav1.AddToGroupVersion(scheme, v1)
	metav1.AddToGroupVersion(scheme, v2)
}

// Gadget is of version v1: its size is one text, as in 3x4.
type Gadget struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              Size `json:"spec"`
	Status            Size `json:"status,omitempty"`
}

// Size is width and height with an x between.
type Size struct {
	Size string `json:"size,omitempty"`
}

// GadgetList is a list of them.
type GadgetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Gadget `json:"items"`
}

// WideGadget is a Gadget of version v2: width and height apart.
type WideGadget struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              Sides `json:"spec"`
	Status            Size  `json:"status,omitempty"`
}

// Sides are width and height.
type Sides struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// DeepCopyObject copies it.
func (g *Gadget) DeepCopyObject() runtime.Object {
	copied := *g
	copied.ObjectMeta = *g.ObjectMeta.DeepCopy()
	return &copied
}

// DeepCopyObject copies it.
func (l *GadgetList) DeepCopyObject() runtime.Object {
	copied := *l
	copied.Items = nil
	for i := range l.Items {
		copied.Items = append(copied.Items, *l.Items[i].DeepCopyObject().(*Gadget))
	}
	return &copied
}

// DeepCopyObject copies it.
func (g *WideGadget) DeepCopyObject() runtime.Object {
	copied := *g
	copied.ObjectMeta = *g.ObjectMeta.DeepCopy()
	return &copied
}

// Hub says that others are converted to and from this version.
func (*Gadget) Hub() {}

// ConvertTo makes v1 of it.
func (g *WideGadget) ConvertTo(hub conversion.Hub) error {
	other := hub.(*Gadget)
	other.ObjectMeta, other.Status = g.ObjectMeta, g.Status
	other.Spec.Size = fmt.Sprintf("%dx%d", g.Spec.Width, g.Spec.Height)
	return nil
}

// ConvertFrom makes it of v1.
func (g *WideGadget) ConvertFrom(hub conversion.Hub) error {
	other := hub.(*Gadget)
	g.ObjectMeta, g.Status = other.ObjectMeta, other.Status
	_, err := fmt.Sscanf(other.Spec.Size, "%dx%d", &g.Spec.Width, &g.Spec.Height)
	return err
}

// hooks gives gadgets without a size one, and refuses odd ones.
type hooks struct{}

func (hooks) Default(_ context.Context, object runtime.Object) error {
	gadget := object.(*Gadget)
	if gadget.Spec.Size == "" {
		gadget.Spec.Size = "1x1"
	}
	return nil
}

func (hooks) check(object runtime.Object) (admission.Warnings, error) {
	gadget := object.(*Gadget)
	if !strings.Contains(gadget.Spec.Size, "x") {
		return nil, fmt.Errorf("%q is no size", gadget.Spec.Size)
	}
	if strings.HasPrefix(gadget.Spec.Size, "99") {
		return admission.Warnings{"that is wide"}, nil
	}
	return nil, nil
}

func (h hooks) ValidateCreate(_ context.Context, object runtime.Object) (admission.Warnings, error) {
	return h.check(object)
}

func (h hooks) ValidateUpdate(_ context.Context, _, object runtime.Object) (admission.Warnings, error) {
	return h.check(object)
}

func (hooks) ValidateDelete(context.Context, runtime.Object) (admission.Warnings, error) {
	return nil, nil
}
